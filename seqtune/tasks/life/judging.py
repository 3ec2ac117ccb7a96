"""Boards as people write them, and completions with the place where they go wrong.

A completion is right if it is ` [S2]$`, S2 being what becomes of the board in the prompt, and wrong from
its first character on that is another. A cell is missing from the first character on that is not in its
place.
"""

from pathlib import Path

import numpy as np

from seqtune.config.errors import nearest
from seqtune.tasks.base import Tokens
from seqtune.tasks.generative_evaluation import CELLS, Cells, Sample
from seqtune.tasks.life.board import Boards
from seqtune.tasks.life.notation import BEFORE, MISSING, Notation
from seqtune.tasks.life.pattern import SHIPPED, load, place
from seqtune.tasks.life.pattern_files import SUFFIXES

DEAD, ALIVE = "0.", "1O"
"""How a cell is written on a board: as the language does, or as pattern files do."""


def board(text: str, *, rows: int, columns: int) -> Boards:
    """The board that a person means, uint8 [R, C].

    Args:
        text: rows of 0 and 1, or of . and O, separated by / or line breaks, or all cells in one row; the
            name of a pattern, or the path of a .rle or .cells file, which is placed in the middle; or the
            language's own `@PredictNextState<...>`.
        rows: of the board.
        columns: of the board.

    Raises:
        ValueError: if it is no board of that size.
    """
    written = text.strip()
    if written in SHIPPED or Path(written).suffix in SUFFIXES:
        return place(load(written), rows=rows, columns=columns)
    written = written.removeprefix(BEFORE).removesuffix(">")
    lines = ["".join(line.split()) for line in written.replace("/", "\n").strip().split("\n")]
    cells = "".join(lines)
    wrong = cells.strip(DEAD + ALIVE)
    if not cells or wrong:
        got = f"{wrong[0]!r} in {text!r}" if wrong else repr(text)
        raise ValueError(
            f"must be cells, 0 or . for dead and 1 or O for alive, or a pattern, but got {got}"
            f"{nearest(written, SHIPPED)}"
        )
    if len(lines) == 1 and len(cells) == rows * columns:
        lines = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    _check_size([len(line) for line in lines], rows=rows, columns=columns)
    return np.array([[cell in ALIVE for cell in line] for line in lines], dtype=np.uint8)


def _check_size(widths: list[int], *, rows: int, columns: int) -> None:
    wanted = f"must have {rows} rows of {columns} cells"
    if len(widths) == 1 and rows > 1:
        raise ValueError(
            f"{wanted}, {rows * columns} in all, but has {widths[0]}; write / between rows"
        )
    if len(set(widths)) == 1 and (len(widths), widths[0]) != (rows, columns):
        raise ValueError(
            f"{wanted}, but has {len(widths)} of {widths[0]}; for such a board the task needs "
            f"rows={len(widths)} and columns={widths[0]}"
        )
    for number, width in enumerate(widths, start=1):
        if width != columns:
            raise ValueError(f"{wanted}, but row {number} has {width}")


def boards_of(notation: Notation, prompts: Tokens) -> Boards:
    """The boards that prompts [B, P] state, uint8 [B, R, C]."""
    cells = prompts[:, notation.first_cell : notation.first_cell + notation.cells]
    alive = cells == notation.characters.index("1")
    return alive.astype(np.uint8).reshape(-1, notation.rows, notation.columns)


def judged(
    notation: Notation, boards: Boards, *, truth: Boards, completions: Tokens
) -> tuple[Sample, ...]:
    """Every completion [B, N] of a prompt that states one of `boards`, numbered from 1."""
    width = notation.completion_length
    own = np.full((len(completions), width), -1, dtype=np.int64)
    own[:, : completions.shape[1]] = completions[:, :width]
    strings = notation.strings(boards, after=truth).tokens.reshape(len(boards), notation.length)
    wrong = own != strings[:, notation.prompt_length :]
    coded = compared(notation.read(completions).cells, truth=truth)
    prompts = notation.prompts(boards)
    samples: list[Sample] = []
    for row, cells in enumerate(coded):
        prompt, completion = notation.text(prompts[row]), notation.text(completions[row])
        right = not wrong[row].any()
        at = min(int(wrong[row].argmax()), len(completion))
        samples.append(
            Sample(
                title=str(row + 1),
                text=prompt + completion,
                right=right,
                panels={
                    "prompt": boards[row].astype(np.int8),
                    "truth": truth[row].astype(np.int8),
                    "prediction": cells,
                },
                wrong_at=None if right else len(prompt) + at,
                reason="" if right else _reason(at, truth=truth[row], coded=cells),
            )
        )
    return tuple(samples)


def compared(cells: Cells, *, truth: Boards) -> Cells:
    """Predicted cells by the codes of `seqtune.tasks.generative_evaluation.CELLS`."""
    coded = np.where(cells == truth, cells, cells + 2)
    return np.where(cells == MISSING, 4, coded).astype(np.int8)


def _reason(at: int, *, truth: Boards, coded: Cells) -> str:
    """What must stand at a completion's character, counted from 0, and how many cells are wrong."""
    wrong = int((coded > 1).sum())
    number = at - 2
    if number < 0:
        return "must begin with a blank and ["
    if number >= truth.size:
        return "must end with ]$"
    row, column = divmod(number, truth.shape[1])
    of = f"{wrong} of {truth.size} cells {'is' if wrong == 1 else 'are'} wrong"
    return f"row {row + 1}, column {column + 1} must be {CELLS[truth[row, column]]}; {of}"
