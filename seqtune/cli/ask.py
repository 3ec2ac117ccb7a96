"""Commands that ask a trained run: generate, probe."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from seqtune.cli.app import JsonOption, changes_of, command, opened, print_json
from seqtune.config.yaml_file import FileError

RunArgument = Annotated[str, typer.Argument(help="The directory or URL of a trained run.")]
UNREAD = ("checkpoint.pt", "events.out.tfevents.*")
"""What of a run only its training reads."""
ChangeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Ask about something else; may be repeated, for other paths.",
    ),
]


@command
def generate(
    run: RunArgument,
    *,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="What to go on from: a grammar's terminals (3 1 2), a board (0110/1001/.., .OO.O..O or the "
            "name of a pattern), any text. Without it: the task's own beginnings.",
            metavar="TEXT",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            help="How many; 20 by default. At temperature 0 one prompt has one answer, which is given once.",
            show_default=False,
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="0 takes the most probable token, 1 samples as the model predicts; by default 0 for boards and "
            "1 for all else.",
            show_default=False,
        ),
    ] = None,
    longest: Annotated[
        int | None,
        typer.Option(help="Tokens to add to a text; 200 by default.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="What is drawn depends on it.")] = 0,
    set_: ChangeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a trained model generate, and judge every string.

    A line is ✓ or ✗ and a string; ⟫ stands between the prompt and what the model made of it.

    Where a string goes wrong stands ⟨wrong: REASON⟩; wrong cells of a board are x (dead) and X (alive).

    --set takes paths of the task (task.height=5, task.rows=16), as far as the model can read its strings.
    """
    from seqtune.trained import generate
    from seqtune.trained.load import load

    with opened(run, without=UNREAD) as copy:
        text = _only(prompt)
        request = generate.GenerationRequest(
            text, count, temperature=temperature, longest=longest, seed=seed
        )
        changeable, unused = generate.CHANGEABLE, generate.UNUSED
        trained = load(copy.local, changes=changes_of(set_), changeable=changeable, unused=unused)
        generation = generate.Generation(trained, request=request)
    warn(copy.named(trained.warning))
    warn(generation.note)
    if as_json:
        print_json(generate.to_data(generation))
    else:
        generate.show(generation, console=Console(highlight=False))


@command
def probe(
    run: Annotated[str, typer.Argument(help="The directory or URL of a trained run on a grammar.")],
    strings: Annotated[
        int, typer.Option(help="Strings to fit probes to; they are scored on as many others.")
    ] = 512,
    set_: ChangeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask every layer what it knows of the trees: linear probes for nodes and their ends.

    A probe is a linear map from the hidden state at a token to the symbol of the node over it, or to whether the
    token is that node's last. It is compared with probes of the untrained network and with the most common class.

    --set takes paths of the task (task.height=5), as far as the model can read its strings, and evaluation.seed.

    The numbers are kept in the run's probes.csv, and drawn in probes.png and probes.svg. What is measured with
    another --strings or with --set is kept in files of its own, whose names say so, such as
    probes-strings=50.csv: the same call again takes the place of its own files, and of no others.

    Many wide layers take some minutes on a processor; -v before the command tells how far it is.
    """
    from seqtune.cli.tables import probes
    from seqtune.storage.files import check_writable
    from seqtune.trained import probe
    from seqtune.trained.load import load

    with opened(run, without=UNREAD) as copy:
        changeable, unused = probe.CHANGEABLE, probe.UNUSED
        trained = load(copy.local, changes=changes_of(set_), changeable=changeable, unused=unused)
        check_writable(trained.directory.path / "probes.csv")
        warn(copy.named(trained.warning))
        found = probe.probe(trained, strings=strings)
        if as_json:
            print_json(found.to_data())
        else:
            width = None if sys.stdout.isatty() else probes.WIDTH
            probes.show(found, console=Console(highlight=False, width=width))
        from seqtune.report.render import files

        paths = files.write_probes(
            found.readings,
            rows=found.rows,
            name=found.name,
            title=found.title,
            caption=f"{found.summary} {probes.errors(found.readings)}",
            folder=trained.directory.path,
        )
        copy.put_back()
        written = ", ".join(map(str, paths))
        typer.echo(f"written: {copy.named(written)}", err=as_json)


def warn(sentence: str) -> None:
    """Tells a person what is to be known of a run; nothing where that is nothing."""
    if sentence:
        typer.echo(sentence, err=True)


def _only(prompts: list[str] | None) -> str | None:
    if prompts and len(prompts) > 1:
        raise FileError(
            f"--prompt: takes one prompt, but is given {len(prompts)} times; call once for each of them"
        )
    return prompts[0] if prompts else None
