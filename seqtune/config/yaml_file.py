"""YAML files with the line of every value, for error messages.

Scalars follow YAML 1.2: `1e-3` is a number, `on`, `off`, `yes`, `no` and dates are text, and only
`true` and `false` are booleans. Duplicate keys are errors. PyYAML's defaults (YAML 1.1) would read
`1e-3` as text and `no` as false.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

import yaml

from seqtune.config.errors import Path, Problem, SpecError, dotted, near
from seqtune.config.nested import assign


class FileError(ValueError):
    """A file cannot be used; the message has one line per error, ready to print."""


@dataclass(frozen=True)
class Source:
    """Content of a YAML file, with line numbers.

    Attributes:
        name: name of the file in error messages.
        data: plain data.
        lines: line number by path.
        text: the file's text.
        overridden: dotted paths whose values were replaced.
        settings: the replaced values as PATH=VALUE, in JSON.
    """

    name: str
    data: dict[str, Any]
    lines: dict[Path, int] = field(repr=False)
    text: str = field(repr=False)
    overridden: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def override(self, changes: Mapping[str, Any]) -> "Source":
        """Return the file with values at dotted paths replaced, as by `--set`."""
        given = [f"{path}={json.dumps(value)}" for path, value in changes.items()]
        return replace(
            self,
            data=assign(self.data, changes),
            overridden=(*self.overridden, *changes),
            settings=(*self.settings, *given),
        )

    def error(self, error: SpecError) -> FileError:
        """Return an error with the problems of a spec, located in this file and in its order."""
        problems = sorted(error.problems, key=lambda problem: self.line(problem.path))
        return FileError(
            "\n".join(f"{self._locate(problem.path)}: {problem}" for problem in problems)
        )

    def _locate(self, path: Path) -> str:
        name = dotted(path)
        if any(
            name == each or name.startswith((f"{each}.", f"{each}[")) for each in self.overridden
        ):
            return "--set"
        if path not in self.lines and any(each.startswith(f"{name}.") for each in self.overridden):
            return "--set"  # the setting created the block
        return f"{self.name}:{self.line(path)}"

    def line(self, path: Path) -> int:
        """Return the line of the closest enclosing value that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(path: str | os.PathLike[str]) -> Source:
    """Read a YAML file whose top level is a mapping.

    Raises:
        FileError: if the file is missing or empty, is not YAML in UTF-8, or repeats a key.
    """
    name = os.fspath(path)
    try:
        text = FilePath(name).read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{name}: cannot be read: {error.strerror}{path_hint(name)}") from None
    except UnicodeDecodeError as error:
        raise FileError(f"{name}: is not UTF-8 text: byte {error.start}: {error.reason}") from None
    return parse_yaml(text, name=name)


def path_hint(path: str | os.PathLike[str]) -> str:
    """Return the end of an error about a missing file: a similar name, or the working directory."""
    wanted = FilePath(path)
    # Unlike pathlib's methods, these of `os` return False for paths that we may not access.
    if os.path.exists(wanted):
        return ""
    parent = wanted.parent
    readable = os.path.isdir(parent) and os.access(parent, os.R_OK)
    close = near(wanted.name, sorted(os.listdir(parent)) if readable else [])
    if close is not None:
        return f"; did you mean {wanted.with_name(close)}?"
    return "" if wanted.is_absolute() else f"; paths start from {FilePath.cwd()}"


def parse_yaml(text: str, *, name: str) -> Source:
    """Parse YAML text; `name` stands for the file in error messages.

    Raises:
        FileError: see `read_yaml`.
    """
    reader = _Reader()
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = None if node is None else reader.build(node, path=())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileError(f"{name}:{line}: is not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise FileError(f"{name}: is not valid YAML: {error}") from None
    source = Source(
        name=name, data=data if isinstance(data, dict) else {}, lines=reader.lines, text=text
    )
    if reader.problems:
        raise source.error(SpecError(reader.problems))
    if not isinstance(data, dict):
        raise FileError(f"{name}:1: must be a mapping of fields, but got {data!r}")
    return source


def parse_value(text: str) -> Any:
    """Parse a single value, as on the command line, by the same rules as in a file.

    Raises:
        FileError: if the text is not YAML.
    """
    # Parsed as a field of a file; the error's location in that file is then removed.
    lines = ["value:", *(f" {line}" for line in text.splitlines())]
    try:
        return parse_yaml("\n".join(lines), name="value").data["value"]
    except FileError as error:
        raise FileError(str(error).partition(": ")[2]) from None


class _Loader(yaml.SafeLoader):
    """Composes nodes, with scalars resolved by the core schema of YAML 1.2."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  (drops PyYAML's resolvers for YAML 1.1)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9][0-9_]*|0o[0-7_]+|0x[0-9a-fA-F_]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"^(?:{_pattern})$"),
        list(_first) + [""] * (_tag == "null"),
    )


class _Reader:
    """Turns composed nodes into plain data and records the line of every path."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()

    def build(self, node: yaml.Node, *, path: Path) -> Any:
        if id(node) in self._open:
            raise yaml.MarkedYAMLError(
                problem=f"{dotted(path)} contains itself", problem_mark=node.start_mark
            )
        self.lines.setdefault(path, node.start_mark.line + 1)
        self._open.add(id(node))
        try:
            match node:
                case yaml.MappingNode():
                    return self._mapping(node, path=path)
                case yaml.SequenceNode():
                    return [
                        self.build(item, path=(*path, index))
                        for index, item in enumerate(node.value)
                    ]
                case yaml.ScalarNode():
                    return self._scalar(node)
                case _:
                    raise AssertionError(f"a YAML node of an unknown class: {node!r}")
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, *, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merges: list[Any] = []
        for key_node, value_node in node.value:
            if key_node.tag.endswith(":merge"):
                value = self.build(value_node, path=(*path, "<<"))
                merges.extend(value if isinstance(value, list) else [value])
                continue
            name = key_node.value
            line = key_node.start_mark.line + 1
            if not isinstance(name, str):
                raise yaml.MarkedYAMLError(
                    problem="a key must be text", problem_mark=key_node.start_mark
                )
            if name in data:
                first = self.lines[(*path, name)]
                self.problems.append(
                    Problem(
                        (*path, name),
                        f"is given twice, in line {first} and in line {line}; write it once",
                    )
                )
            self.lines[(*path, name)] = line
            data[name] = self.build(value_node, path=(*path, name))
        for merge in merges:
            data = {**merge, **data} if isinstance(merge, dict) else data
        return data

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        kind = node.tag.rpartition(":")[2]
        try:
            return _SCALARS[kind](node.value)
        except (KeyError, ValueError):
            problem = f"{node.value!r} cannot be read as {kind}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None


def _whole_number(text: str) -> int:
    digits = text.replace("_", "")
    return int(digits, 0) if digits[:2] in ("0x", "0o") else int(digits)


def _number(text: str) -> float:
    digits = text.replace("_", "").lower()
    return float(digits.replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _whole_number,
    "float": _number,
    "str": str,
}
"""Readers for the scalars of YAML 1.2's core schema; any other tag is an error."""
