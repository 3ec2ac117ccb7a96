"""Descriptions of languages: found by what a person calls them, and printed."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune.config.errors import Problem, SpecError, nearest
from seqtune.config.nested import assigned
from seqtune.config.spec import Spec
from seqtune.config.yaml_file import FileError, read_yaml
from seqtune.tasks import TASK_SPECS, TaskSpec
from seqtune.tasks.build import build_task
from seqtune.tasks.cfg.grammar_spec import DESCRIBED
from seqtune.tasks.cfg.named import RULES
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.description import (
    Description,
    EstimatedFigure,
    Figures,
    GridFigure,
    ListedStrings,
    Value,
)

PLAIN_DIGITS = 15
"""Whole numbers of at most so many digits are grouped by commas."""


class _OfFile(Spec):
    task: TaskSpec


def describe(name: str, *, changes: dict[str, object]) -> Description:
    """The language that a person names: a grammar, a kind of task, or a file that has one.

    Args:
        name: such as cfg3f, dyck, life, text, or the path of a run's or sweep's YAML.
        changes: dotted paths, of the file where there is one, else of the task; those of a grammar
            that is described rather than named may leave out `grammar`.

    Raises:
        FileError: if there is no such language, or its settings are wrong.
    """
    if Path(name).suffix in (".yaml", ".yml") or Path(name).is_file():
        return _from_file(Path(name), changes=changes)
    kinds = {spec.model_fields["kind"].default: spec for spec in TASK_SPECS}
    grammars = [*RULES, *DESCRIBED]
    if name not in kinds and name not in grammars:
        raise FileError(f"no such language: {name!r}{nearest(name, [*grammars, *kinds])}")
    spec = kinds.get(name, CfgSpec)
    data: dict[str, Any] = {"kind": name}
    if name not in kinds:
        own = DESCRIBED[name].model_fields if name in DESCRIBED else {}
        data = {"kind": "cfg", "grammar": {"kind": name} if own else name}
        changes = {
            f"grammar.{path}" if path in own else path: value for path, value in changes.items()
        }
    try:
        found: Any = spec.parse(assigned(data, changes))
    except SpecError as error:
        raise FileError("\n".join(f"{name}: {line}" for line in error.problems)) from None
    return build_task(found).describe()


def _from_file(file: Path, *, changes: dict[str, object]) -> Description:
    source = read_yaml(file).override(changes)
    above = () if "task" in source.data else ("base",)
    block: Any = source.data
    for part in above:
        block = block.get(part)
    if not isinstance(block, dict) or "task" not in block:
        raise FileError(f"{file}: has no task to describe, neither in itself nor in base")
    try:
        return build_task(_OfFile.parse({"task": block["task"]}).task).describe()
    except SpecError as error:
        problems = [Problem((*above, *each.path), each.message) for each in error.problems]
        raise source.error(SpecError(problems)) from None


def show(description: Description, *, console: Console) -> None:
    """Prints a description: figures and tables as such, listings as they stand."""
    console.print(Text(description.title, style="bold"))
    console.print(Text(description.summary))
    for heading, part in description.parts.items():
        console.print()
        console.print(Text(heading, style="bold"))
        match part:
            case Figures():
                console.print(_figures(part))
            case GridFigure():
                console.print(_grid(part))
            case ListedStrings():
                for line in part.lines:
                    console.print(Text(f"  {line}"), soft_wrap=True)


def _figures(figures: Figures) -> Table:
    table = Table(box=None, show_header=False, pad_edge=True, padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in figures.values.items():
        table.add_row(Text(name), Text(text(value)))
    return table


def _grid(grid: GridFigure) -> Table:
    table = Table(box=None, pad_edge=True, padding=(0, 2), header_style="dim")
    for place, name in enumerate(grid.columns):
        if any(isinstance(row[place], str) for row in grid.rows):
            table.add_column(Text(name), no_wrap=True, overflow="ellipsis")
        else:
            table.add_column(Text(name), no_wrap=True, justify="right")
    for row in grid.rows:
        table.add_row(*(Text(text(value)) for value in row))
    return table


def text(value: Value) -> str:
    """A figure as people read it."""
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}" if len(str(abs(value))) <= PLAIN_DIGITS else str(value)
        case float():
            return f"{value:.6g}"
        case EstimatedFigure():
            return f"{value.value:.6g} ± {value.standard_error:.2g}"
        case str():
            return value
