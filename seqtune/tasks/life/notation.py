"""Two boards as one string, `@PredictNextState<S1> [S2]$`, and a completion read back as a board.

S1 and S2 are the boards row by row, a character a cell, without separators: n cells make 2 n + 23
characters. The prompt ends with `>` (n + 19 characters); the completion is ` [S2]$` (n + 4). The
characters are tokens in one of two vocabularies:

- `bytes`: 256 tokens, a character's number its ASCII code, as in the experiment that the language
  comes from; 20 of them occur.
- `compact`: those 20 only, in the order of `COMPACT`, from 1.

Token 0 is padding in both; strings of equal length never need it.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from seqtune.tasks.base import Mask, Strings, Tokens
from seqtune.tasks.generative_evaluation import Cells
from seqtune.tasks.life.board import Boards

Vocabulary: TypeAlias = Literal["bytes", "compact"]

BEFORE, BETWEEN, AFTER = "@PredictNextState<", "> [", "]$"
"""What stands before, between and after the two boards."""

COMPACT = "".join(dict.fromkeys("01" + BEFORE + BETWEEN + AFTER))
"""Characters by token id, from 1: the cells, then the others as they first occur."""

MISSING = -1
"""A cell that a completion does not have."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Completions as boards.

    Attributes:
        cells: int8 [B, R, C]; from the first character that is not in its place on, cells are `MISSING`.
        valid: bool [B], whether the completion is exactly ` [`, a cell for each of the board, `]$`.
    """

    cells: Cells
    valid: Mask


class Notation:
    """Writes and reads the strings of one size of board.

    Attributes:
        size: number of token ids.
        stop: the id of `$`.
        states: the ids of a dead and of a live cell, uint8 [2].
        cells: cells of a board, the n of the lengths below.
        prompt_length: n + 19, through `>`.
        completion_length: n + 4, from the blank through `$`.
        length: 2 n + 23.
    """

    def __init__(self, *, rows: int, columns: int, vocabulary: Vocabulary) -> None:
        self.rows, self.columns = rows, columns
        compact = vocabulary == "compact"
        self.characters = "\0" + COMPACT if compact else bytes(range(256)).decode("latin-1")
        self.size = len(self.characters)
        self.cells = rows * columns
        self.first_cell = len(BEFORE)
        self.prompt_length = self.prompt_length_of(self.cells)
        self.completion_length = self.cells + 4
        self.length = self.prompt_length + self.completion_length
        self.stop = int(self._ids("$")[0])
        self.states = self._ids("01")

    @staticmethod
    def prompt_length_of(cells: int) -> int:
        """Characters of a prompt with a board of so many cells."""
        return len(BEFORE) + cells + 1

    def _ids(self, text: str) -> npt.NDArray[np.uint8]:
        return np.array([self.characters.index(each) for each in text], dtype=np.uint8)

    def strings(self, boards: Boards, *, after: Boards) -> Strings:
        """The strings of boards [B, R, C] and of what became of them."""
        count = len(boards)
        parts = [
            np.tile(self._ids(BEFORE), (count, 1)),
            self._written(boards),
            np.tile(self._ids(BETWEEN), (count, 1)),
            self._written(after),
            np.tile(self._ids(AFTER), (count, 1)),
        ]
        tokens = np.concatenate(parts, axis=1).ravel()
        return Strings(tokens, np.arange(count + 1, dtype=np.int64) * self.length)

    def _written(self, boards: Boards) -> npt.NDArray[np.uint8]:
        return self.states[boards.reshape(len(boards), self.cells)]

    def prompts(self, boards: Boards) -> Tokens:
        """What stands before the completion, int64 [B, P]."""
        strings = self.strings(boards, after=boards).tokens.reshape(len(boards), self.length)
        return strings[:, : self.prompt_length].astype(np.int64)

    def first_boards(self, strings: Strings) -> Boards:
        """S1 of every string, uint8 [B, n]."""
        rows = strings.tokens.reshape(len(strings), self.length)
        cells = rows[:, self.first_cell : self.first_cell + self.cells]
        return (cells == self._ids("1")[0]).astype(np.uint8)

    def read(self, completions: Tokens) -> Reading:
        """The boards that completions [B, N] state; those too short are filled up with padding."""
        count, width = len(completions), self.completion_length
        rows = np.zeros((count, width), dtype=np.int64)
        kept = completions[:, :width]
        rows[:, : kept.shape[1]] = kept
        opens = (rows[:, :2] == self._ids(" [")).all(axis=1)
        closes = (rows[:, -2:] == self._ids(AFTER)).all(axis=1)
        zero, one = self.states
        body = rows[:, 2:-2]
        in_place = opens[:, np.newaxis] & np.logical_and.accumulate(
            (body == zero) | (body == one), axis=1
        )
        cells = np.where(in_place, body == one, MISSING).astype(np.int8)
        return Reading(
            cells=cells.reshape(count, self.rows, self.columns),
            valid=in_place.all(axis=1) & closes,
        )

    def text(self, tokens: Tokens) -> str:
        """Tokens as people read them, up to the first `$`; what cannot be printed is a question mark."""
        characters = "".join(self.characters[token] for token in tokens)
        head, stop, _ = characters.partition("$")
        return "".join(each if " " <= each <= "~" else "?" for each in head + stop)
