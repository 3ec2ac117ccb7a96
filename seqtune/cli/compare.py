"""The command that compares two sweeps."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from seqtune.cli.app import JsonOption, command, open_location, print_json
from seqtune.storage.mirror import LARGE


@command
def compare(
    left: Annotated[str, typer.Argument(help="Directory or URL of a sweep.", metavar="A")],
    right: Annotated[str, typer.Argument(help="Directory or URL of another.", metavar="B")],
    as_json: JsonOption = False,
) -> None:
    """Compare two sweeps: the cells that both have, and differing settings.

    A difference is A minus B over confirm runs with the same seed, with its 95 % interval. p is
    that of a sign-flip test, Holm-adjusted over all shared cells.
    """
    from seqtune.report.data.sweep_comparison import compare_sweeps

    with open_location(left, without=LARGE) as first, open_location(right, without=LARGE) as second:
        found = compare_sweeps(first.local, second.local)
    if as_json:
        print_json(found.to_data())
        return
    from seqtune.report.naming.labels import interval, number

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, title=f"{found.metric}: A {left}, B {right}")
    table.title_justify = "left"
    for name in ("cell", "A", "n", "B", "n", "A - B", "95 % interval", "p (Holm)"):
        table.add_column(name, justify="left" if name == "cell" else "right")
    for each in found.cells:
        pair = each.pair
        table.add_row(
            each.cell,
            number(each.left.mean),
            str(each.left.n),
            number(each.right.mean),
            str(each.right.n),
            number(pair.difference.mean) if pair is not None else "",
            interval(pair.difference.low, high=pair.difference.high) if pair is not None else "",
            number(pair.adjusted) if pair is not None else "",
        )
    console.print(table)
    for name, cells in zip(("A", "B"), found.only, strict=True):
        if cells:
            console.print(f"only in {name}: {'; '.join(cells)}", markup=False, soft_wrap=True)
    for each in found.differences:
        line = f"{each.what}: {each.left or 'not set'} in A, {each.right or 'not set'} in B"
        console.print(line, markup=False, soft_wrap=True)
    if not found.differences:
        console.print("settings, data and versions are the same")
