"""Commands that ask a trained run: evaluate, generate, probe."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seqtune.cli.app import app, changes_of, clear_errors

RunArgument = Annotated[Path, typer.Argument(help="The directory of a trained run.")]
ChangeOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Ask about something else; may be repeated."),
]


@app.command()
def evaluate(
    run: RunArgument,
    set_: ChangeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For a machine to read.")] = False,
) -> None:
    """Score a trained run: on its own task, or on longer or higher strings than it was trained on.

    Every score comes with its standard error and the number of strings that it was taken of, then tables of
    where the model errs. --set takes paths of the task and of the evaluation, such as task.height=5 or
    evaluation.strings=4096. All of it, with samples, is kept in the run's evaluation.json, one entry for each
    set of changes.
    """
    from seqtune import evaluated
    from seqtune.trained import load

    with clear_errors():
        trained = load(run, changes=changes_of(set_))
        evaluated.check(trained.directory)
        count = trained.spec.evaluation.strings
        typer.echo(f"{run}: weights of epoch {trained.epoch}, on {count:,} strings ...", err=True)
        found = evaluated.evaluate(trained)
        entry = found.to_data()
        evaluated.keep(trained.directory, entry)
    if as_json:
        typer.echo(json.dumps(entry, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        width = None if sys.stdout.isatty() else evaluated.WIDTH
        evaluated.show(found, console=Console(highlight=False, width=width))


@app.command()
def generate(
    run: RunArgument,
    *,
    prompt: Annotated[
        str | None,
        typer.Option(
            help="What to go on from: a grammar's terminals (3 1 2), a board (0110/1001/.., .OO.O..O or the "
            "name of a pattern), any text. Without it: the task's own beginnings."
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(help="How many; 20, or 1 where all would be alike.", show_default=False),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="0 takes the most probable; 1, but 0 for boards.", show_default=False),
    ] = None,
    longest: Annotated[
        int | None,
        typer.Option(help="Tokens to add to a text; 200.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="What is drawn depends on it.")] = 0,
    set_: ChangeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For a machine to read.")] = False,
) -> None:
    """Let a trained model generate, and judge every string.

    A line is ✓ or ✗ and a string; ⟫ stands between the prompt and what the model made of it.

    Where a string goes wrong stands ⟨wrong: REASON⟩; wrong cells of a board are x (dead) and X (alive).

    --set takes paths of the task (task.height=5, task.rows=16), as far as the model can read its strings.
    """
    from seqtune.generated import Generation, Request, show, to_data
    from seqtune.trained import load

    with clear_errors():
        request = Request(prompt, count, temperature=temperature, longest=longest, seed=seed)
        trained = load(run, changes=changes_of(set_), changeable=("task",))
        generation = Generation(trained, request=request)
    if generation.note:
        typer.echo(generation.note, err=True)
    if as_json:
        typer.echo(json.dumps(to_data(generation), ensure_ascii=False))
    else:
        show(generation, console=Console(highlight=False))


@app.command()
def probe(
    run: Annotated[Path, typer.Argument(help="The directory of a trained run on a grammar.")],
    strings: Annotated[
        int, typer.Option(help="Strings to fit probes to; they are scored on as many others.")
    ] = 512,
    set_: ChangeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For a machine to read.")] = False,
) -> None:
    """Ask every layer what it knows of the trees: linear probes for nodes and their ends.

    A probe is a linear map from the hidden state at a token to the symbol of
    the node over it, or to whether the token is that node's last. It is compared
    with probes of the untrained network and with the most common class.

    --set takes paths of the task (task.height=5), as far as the model can read
    its strings. The numbers are kept in the run's probes.csv, and drawn in
    probes.png and probes.svg; with --set, the names of the files say so.

    Many wide layers take some minutes on a processor; -v before the command
    tells how far it is.
    """
    from seqtune import probed
    from seqtune.trained import load

    with clear_errors():
        trained = load(run, changes=changes_of(set_))
        found = probed.probe(trained, strings=strings)
    if as_json:
        typer.echo(json.dumps(found.to_data(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        width = None if sys.stdout.isatty() else probed.WIDTH
        probed.show(found, console=Console(highlight=False, width=width))
    from seqtune.report import probes

    with clear_errors():
        paths = probes.write(
            found.readings,
            name=found.name,
            title=found.title,
            caption=found.summary,
            folder=trained.directory.path,
        )
    typer.echo(f"written: {', '.join(map(str, paths))}", err=as_json)
