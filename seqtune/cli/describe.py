"""The command that describes a language: a grammar, a kind of task, or the task of a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from seqtune.cli.app import (
    JsonOption,
    SetOption,
    command,
    exit_on_error,
    parse_changes,
    print_json,
)
from seqtune.config.errors import Problem, SpecError, nearest
from seqtune.config.nested import assign
from seqtune.config.yaml_file import FileError, read_yaml

if TYPE_CHECKING:
    from seqtune.tasks.description import Description


@command
def describe(
    language: Annotated[
        str,
        typer.Argument(
            help="A grammar (cfg3b, cfg3f, ..., dyck), a kind of task (cfg, life, text), or a "
            "YAML file.",
            metavar="TASK",
        ),
    ],
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Describe a language in numbers: sizes, counts, lengths, floors, some strings.

    --set takes paths of the task (height=3), or of the file if one is given (task.height=3).
    """
    with exit_on_error():
        description = _describe(language, changes=parse_changes(set_))
    if as_json:
        print_json(description.to_data())
    else:
        from seqtune.cli.tables.description import print_description

        print_description(description, console=Console(highlight=False))


def _describe(name: str, *, changes: dict[str, object]) -> "Description":
    """Return the description of the language that a user named.

    Args:
        name: a grammar or kind of task, or the path of a run's or sweep's YAML file.
        changes: values by dotted path: of the file if one is given, else of the task. Paths of a
            grammar with settings of its own may leave out `grammar`.

    Raises:
        FileError: if there is no such language, or its settings are wrong.
    """
    if Path(name).suffix in (".yaml", ".yml") or Path(name).is_file():
        return _describe_file(Path(name), changes=changes)
    from seqtune.tasks import TASK_SPECS
    from seqtune.tasks.build import build_task
    from seqtune.tasks.cfg.grammar_spec import DESCRIBED
    from seqtune.tasks.cfg.named import RULES
    from seqtune.tasks.cfg.spec import CfgSpec

    kinds = {spec.model_fields["kind"].default: spec for spec in TASK_SPECS}
    grammars = [*RULES, *DESCRIBED]
    if name not in kinds and name not in grammars:
        raise FileError(f"no such language: {name!r}{nearest(name, [*grammars, *kinds])}")
    spec = kinds.get(name, CfgSpec)
    data: dict[str, Any] = {"kind": name}
    if name not in kinds:
        fields = DESCRIBED[name].model_fields if name in DESCRIBED else {}
        data = {"kind": "cfg", "grammar": {"kind": name} if fields else name}
        changes = {
            f"grammar.{path}" if path in fields else path: value for path, value in changes.items()
        }
    try:
        parsed: Any = spec.parse(assign(data, changes))
    except SpecError as error:
        raise FileError("\n".join(f"{name}: {line}" for line in error.problems)) from None
    return build_task(parsed).describe()


def _describe_file(file: Path, *, changes: dict[str, object]) -> "Description":
    source = read_yaml(file).override(changes)
    above = () if "task" in source.data else ("base",)
    block: Any = source.data
    for part in above:
        block = block.get(part)
    if not isinstance(block, dict) or "task" not in block:
        raise FileError(f"{file}: has no task to describe, neither at the top nor in base")
    from seqtune.config.spec import Spec
    from seqtune.tasks import TaskSpec
    from seqtune.tasks.build import build_task

    class TaskOfFile(Spec):
        task: TaskSpec

    try:
        return build_task(TaskOfFile.parse({"task": block["task"]}).task).describe()
    except SpecError as error:
        problems = [Problem((*above, *each.path), each.message) for each in error.problems]
        raise source.error(SpecError(problems)) from None
