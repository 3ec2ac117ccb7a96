"""The command that lets a trained model generate."""

from typing import Annotated

import typer
from rich.console import Console

from seqtune.cli.app import (
    UNUSED_FILES,
    ChangeOption,
    JsonOption,
    RunArgument,
    command,
    open_location,
    parse_changes,
    print_json,
    warn,
)
from seqtune.config.yaml_file import FileError


@command
def generate(
    run: RunArgument,
    *,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="Prompt to continue: a grammar's terminals (3 1 2), a board (0110/1001/.., "
            ".OO.O..O or the "
            "name of a pattern), or any text. Default: prompts that the task draws.",
            metavar="TEXT",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            help="Number of strings; 20 by default. At temperature 0 a prompt has one "
            "continuation, which is "
            "generated once.",
            show_default=False,
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="0 takes the most probable token, 1 samples from the model's distribution. "
            "Default: 0 for "
            "boards, 1 otherwise.",
            show_default=False,
        ),
    ] = None,
    longest: Annotated[
        int | None,
        typer.Option(
            help="Maximum number of tokens of a text; 200 by default.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the drawn prompts and tokens.")] = 0,
    set_: ChangeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Generate strings with a trained model, and judge each of them.

    A line is ✓ or ✗ and a string; ⟫ separates the prompt from the model's continuation.

    ⟨wrong: REASON⟩ marks where a string goes wrong; wrong cells of a board are x (dead) and X
    (alive).

    --set takes paths of the task (task.height=5, task.rows=16), as far as the model can read its
    strings.
    """
    from seqtune.trained import generate
    from seqtune.trained.load import load

    with open_location(run, without=UNUSED_FILES) as mirror:
        if prompt and len(prompt) > 1:
            raise FileError(
                f"--prompt: takes one prompt, but got {len(prompt)}; call once for each"
            )
        request = generate.GenerationRequest(
            prompt[0] if prompt else None,
            count,
            temperature=temperature,
            longest=longest,
            seed=seed,
        )
        trained = load(
            mirror.local,
            changes=parse_changes(set_),
            changeable=generate.CHANGEABLE,
            unused=generate.UNUSED,
        )
        generation = generate.Generation(trained, request=request)
    warn(mirror.restore_paths(trained.warning))
    warn(generation.note)
    if as_json:
        print_json(generation.to_data())
    else:
        from seqtune.cli.tables.samples import print_generation

        print_generation(generation, console=Console(highlight=False))
