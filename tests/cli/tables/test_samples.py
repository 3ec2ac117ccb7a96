"""Samples as lines of a file, and as a terminal is sent them."""

import io

import numpy as np
from rich.console import Console

from seqtune.cli.tables.samples import print_legend, print_sample
from seqtune.tasks.generative_evaluation import SEAM, Sample

WRONG = Sample("1", f"3 1 {SEAM} 2 1 3", False, wrong_at=8, reason="only 3 can follow")
BOARDS = {
    "prompt": np.array([[0, 1], [1, 1]], dtype=np.int8),
    "truth": np.array([[1, 1], [0, 0]], dtype=np.int8),
    "prediction": np.array([[2, 1], [3, 0]], dtype=np.int8),
}


def printed(sample: Sample, *, terminal: bool = False, width: int = 80) -> list[str]:
    """The lines of a file; or of a terminal, with its escape sequences."""
    file = io.StringIO()
    console = Console(
        file=file,
        force_terminal=terminal,
        width=width,
        color_system="truecolor" if terminal else None,
        highlight=False,
    )
    print_sample(sample, console=console)
    return file.getvalue().splitlines()


def test_a_string_is_one_line_however_long():
    assert printed(WRONG, width=10) == ["✗ 3 1 ⟫ 2 ⟨wrong: only 3 can follow⟩ 1 3"]
    assert printed(Sample("1", "3 1 2", True)) == ["✓ 3 1 2"]
    assert printed(Sample("1", "", False, wrong_at=0, reason="why")) == ["✗ ⟨wrong: why⟩"]
    assert printed(Sample("1", f"ab{SEAM}c\nd\t\x1b[2J")) == ["  ab⟫c⏎d␉␛[2J"]


def test_a_name_in_square_brackets_is_no_markup():
    assert printed(Sample("1", "[red] x [/red]", True)) == ["✓ [red] x [/red]"]


def test_on_a_terminal_the_prompt_is_dim_and_what_is_wrong_is_red():
    assert printed(WRONG, terminal=True) == [
        "\x1b[1;31m✗\x1b[0m \x1b[2m3 1 ⟫\x1b[0m 2 \x1b[1;31m⟨wrong: only 3 can follow⟩\x1b[0m"
        "\x1b[31m 1 3\x1b[0m"
    ]


def test_on_a_terminal_lines_are_broken_beside_the_verdict():
    sample = Sample("1", "1 2 3 " * 10, True)
    first, *more = printed(sample, terminal=True, width=20)
    assert first.startswith("\x1b[32m✓\x1b[0m 1 2 3")
    assert len(more) == 3
    assert all(line.startswith("  1 2 3") or line.startswith("  ") for line in more)


def test_boards_stand_side_by_side():
    wrong = Sample("1", "text", False, panels=BOARDS, wrong_at=1, reason="2 of 4 cells are wrong")
    assert printed(wrong) == [
        "✗ 2 of 4 cells are wrong",
        "  prompt   truth   prediction",
        "  . O      O O     x O",
        "  O O      . .     X .",
        "",
    ]
    right = Sample("1", "text", True, panels={"prediction": BOARDS["truth"]})
    assert printed(right) == ["✓", "  prediction", "  O O", "  . .", ""]


def test_boards_that_are_too_wide_are_drawn_without_blanks():
    panels = {name: np.tile(board, (1, 4)) for name, board in BOARDS.items()}
    lines = printed(Sample("1", "text", True, panels=panels), width=40)
    assert lines[2] == "  .O.O.O.O   OOOOOOOO   xOxOxOxO"


def test_wrong_cells_have_colours_of_their_own_on_a_terminal():
    wrong = Sample("1", "text", False, panels={"prediction": BOARDS["prediction"]}, reason="why")
    _, _, first, second, _ = printed(wrong, terminal=True)
    assert first == "  \x1b[1;38;2;242;169;59mx\x1b[0m \x1b[1mO\x1b[0m"
    assert second == "  \x1b[1;38;2;194;24;91mX\x1b[0m \x1b[2m.\x1b[0m"


def test_of_a_malformed_board_the_string_is_shown():
    board = np.array([[1, 4]], dtype=np.int8)
    sample = Sample("1", "<0> [1P", False, panels={"prediction": board}, wrong_at=6, reason="why")
    assert printed(sample)[0] == "✗ <0> [1⟨wrong: why⟩P"
    assert printed(sample)[2] == "  O ?"


def test_the_legend_names_every_sign():
    file = io.StringIO()
    print_legend(Console(file=file))
    assert file.getvalue() == "  . dead   O alive   x wrongly dead   X wrongly alive   ? missing\n"
