"""Two boards as one string, `@PredictNextState<S1> [S2]$`, and a completion read back as a board.

S1 and S2 are the boards row by row, a character a cell, without separators: n cells make 2 n + 23
characters. The prompt ends with `>` (n + 19 characters); the completion is ` [S2]$` (n + 4). The
characters are tokens in one of two vocabularies:

- `bytes`: 256 tokens, the ASCII codes, as in LifeGPT; 20 of them occur.
- `compact`: those 20 only, numbered from 1 in the order of `COMPACT`.

Token 0 is padding in both; strings of equal length never need it.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from seqtune.tasks.base import Mask, Strings, Tokens
from seqtune.tasks.generative_evaluation import Cells, Prompt
from seqtune.tasks.life.board import Boards

VocabularyName: TypeAlias = Literal["bytes", "compact"]

BEFORE, BETWEEN, AFTER = "@PredictNextState<", "> [", "]$"
"""The text before, between and after the two boards."""

COMPACT = "".join(dict.fromkeys("01" + BEFORE + BETWEEN + AFTER))
"""Characters by token id, from 1: the cells, then the others in order of first occurrence."""

MISSING = -1
"""Value of a cell that is missing in a completion."""


@dataclass(frozen=True, eq=False)
class PredictedBoards:
    """Completions read as boards.

    Attributes:
        cells: int8 [B, R, C]; cells after the first character out of place are `MISSING`.
        valid: bool [B], whether the completion is exactly ` [`, one character per cell, `]$`.
    """

    cells: Cells
    valid: Mask


class Notation:
    """Writes and reads the strings of boards of one size.

    Attributes:
        size: number of token ids.
        stop: the id of `$`.
        states: the ids of a dead and of a live cell, uint8 [2].
        cells: number n of cells of a board.
        first_cell: characters before the first cell.
        prompt_length: n + 19, through `>`.
        completion_length: n + 4, from the blank through `$`.
        length: 2 n + 23.
    """

    def __init__(self, *, rows: int, columns: int, vocabulary: VocabularyName) -> None:
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
        """Return the length of a prompt with a board of that many cells."""
        return len(BEFORE) + cells + 1

    def _ids(self, text: str) -> npt.NDArray[np.uint8]:
        return np.array([self.characters.index(each) for each in text], dtype=np.uint8)

    def strings(self, boards: Boards, *, after: Boards) -> Strings:
        """Return the strings of boards [B, R, C] and of the boards that follow them."""
        count = len(boards)
        parts = [
            np.tile(self._ids(BEFORE), (count, 1)),
            self._cell_tokens(boards),
            np.tile(self._ids(BETWEEN), (count, 1)),
            self._cell_tokens(after),
            np.tile(self._ids(AFTER), (count, 1)),
        ]
        tokens = np.concatenate(parts, axis=1).ravel()
        return Strings(tokens, np.arange(count + 1, dtype=np.int64) * self.length)

    def _cell_tokens(self, boards: Boards) -> npt.NDArray[np.uint8]:
        return self.states[boards.reshape(len(boards), self.cells)]

    def prompt(self, boards: Boards) -> Prompt:
        """Return the prompt that asks for the boards after `boards` [B, R, C], at temperature 0."""
        strings = self.strings(boards, after=boards).tokens.reshape(len(boards), self.length)
        return Prompt(
            strings[:, : self.prompt_length].astype(np.int64),
            longest=self.completion_length,
            stop=self.stop,
            temperature=0.0,
        )

    def prompt_boards(self, prompts: npt.NDArray[np.integer]) -> Boards:
        """Return the boards that prompts [B, P] hold, uint8 [B, R, C]."""
        cells = prompts[:, self.first_cell : self.first_cell + self.cells]
        return (cells == self.states[1]).astype(np.uint8).reshape(-1, self.rows, self.columns)

    def first_boards(self, strings: Strings) -> Boards:
        """Return the cells of S1 of every string, uint8 [B, n]."""
        rows = strings.tokens.reshape(len(strings), self.length)
        return self.prompt_boards(rows).reshape(len(strings), self.cells)

    def read(self, completions: Tokens) -> PredictedBoards:
        """Return the boards that completions [B, N] hold; short ones count as padded."""
        count, width = len(completions), self.completion_length
        rows = np.zeros((count, width), dtype=np.int64)
        given = completions[:, :width]
        rows[:, : given.shape[1]] = given
        opens = (rows[:, :2] == self._ids(" [")).all(axis=1)
        closes = (rows[:, -2:] == self._ids(AFTER)).all(axis=1)
        zero, one = self.states
        body = rows[:, 2:-2]
        in_place = opens[:, np.newaxis] & np.logical_and.accumulate(
            (body == zero) | (body == one), axis=1
        )
        cells = np.where(in_place, body == one, MISSING).astype(np.int8)
        return PredictedBoards(
            cells=cells.reshape(count, self.rows, self.columns),
            valid=in_place.all(axis=1) & closes,
        )

    def text(self, tokens: Tokens) -> str:
        """Return tokens as text up to the first `$`; unprintable characters become question marks."""
        characters = "".join(self.characters[token] for token in tokens)
        head, stop, _ = characters.partition("$")
        return "".join(each if " " <= each <= "~" else "?" for each in head + stop)
