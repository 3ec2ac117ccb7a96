"""No import cycles: imports inside functions and under `TYPE_CHECKING` count too."""

import ast
from collections.abc import Iterator
from pathlib import Path

import seqtune

ROOT = Path(seqtune.__file__).parent


def module_of(file: Path) -> str:
    name = ".".join(("seqtune", *file.relative_to(ROOT).with_suffix("").parts))
    return name.removesuffix(".__init__")


MODULES = {module_of(file): file for file in ROOT.rglob("*.py")}


def imported_by(file: Path) -> Iterator[str]:
    """The modules of the package that a file imports anywhere."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), names=names):
                members = [f"{module}.{alias.name}" for alias in names]
                found = [member if member in MODULES else module for member in members]
            case _:
                continue
        yield from (name for name in found if name in MODULES)


def cycles() -> list[list[str]]:
    """Strongly connected groups of modules."""
    left = {name: set(imported_by(file)) - {name} for name, file in MODULES.items()}
    groups: list[list[str]] = []
    while left:
        start = next(iter(left))
        down = reachable(start, edges=left)
        importers = {name: {each for each in left if name in left[each]} for name in left}
        group = down & reachable(start, edges=importers)
        if len(group) > 1:
            groups.append(sorted(group))
        left = {name: found - group for name, found in left.items() if name not in group}
    return groups


def reachable(start: str, *, edges: dict[str, set[str]]) -> set[str]:
    seen, waiting = {start}, [start]
    while waiting:
        for name in edges.get(waiting.pop(), set()) - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def test_no_module_imports_itself_by_way_of_others():
    assert cycles() == []


def test_no_public_class_name_is_defined_twice():
    places: dict[str, list[str]] = {}
    for name, file in MODULES.items():
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
