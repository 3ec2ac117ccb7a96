"""The Game of Life as a language: a board and the board a few steps later, in one string.

Alphabet: the 20 characters of `@PredictNextState<>[]$`, the blank and the cells `0` (dead) and `1`
(alive). A string is `@PredictNextState<S1> [S2]$`, S1 and S2 boards row by row; it belongs to the
language if the rule leads from S1 to S2 in `steps` steps. n cells make 2 n + 23 characters: 55 on 4
x 4, 2,071 on 32 x 32.

Example (4 x 4 torus, Conway's rule, one step; a row of three live cells becomes a column):

    . . . .      . O . .
    O O O .  ->  . O . .     @PredictNextState<0000111000000000> [0100010001000000]$
    . . . .      . O . .
    . . . .      . . . .

A model reads all characters but the last and predicts all but the first. The language is
deterministic once S1 is known, so its floor is:

- loss `completion`: only the n + 4 characters ` [S2]$` are scored, and the floor is 0 nats, all
  right;
- loss `whole`: all 2 n + 22 are scored. The floor of S1's cells follows from `densities.py`, all
  else is certain: at density .5 that is n ln 2 nats per string, .34289 per character on 32 x 32,
  and with broad densities .24882 (.24734 if the density were known). The joint distribution of a
  heterogeneous board's cells is unknown, so there the floor leaves them out.

Training and validation strings are drawn alike, with different seeds; small boards occur in both.

Source: Berkovich & Buehler 2024, arXiv 2409.12182 (LifeGPT); Gardner 1970 (the game).
"""

import numpy as np
import numpy.typing as npt

from seqtune import seeding
from seqtune.tasks.base import Batch, Floor, Split, Strings, Task, Tokens
from seqtune.tasks.description import Description
from seqtune.tasks.generative_evaluation import GenerativeEvaluation, Prompt, Sample
from seqtune.tasks.life.board import Boards, Rule, step
from seqtune.tasks.life.describe import DRAWN, describe
from seqtune.tasks.life.generative_evaluation import (
    BoardSet,
    LifeEvaluation,
    check_completions,
)
from seqtune.tasks.life.layouts import Homogeneous
from seqtune.tasks.life.notation import Notation
from seqtune.tasks.life.pattern import read_board
from seqtune.tasks.life.spec import LifeSpec

TEST_DENSITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Densities of the test sets, as in LifeGPT."""

TEST_BOARDS = 16
"""Most boards of a test set; one if all would be alike."""


class LifeTask(Task):
    """Draws boards, writes them with the boards that follow, and checks predictions.

    Attributes:
        spec: the spec of the task.
        notation: writes and reads boards.
    """

    def __init__(self, spec: LifeSpec) -> None:
        self.spec = spec
        self.rule = Rule.parse(spec.rule)
        self.notation = Notation(rows=spec.rows, columns=spec.columns, vocabulary=spec.vocabulary)
        self.vocab_size = self.outputs = self.notation.size
        self.max_length = self.notation.length - 1
        self.prompt_length = spec.prompt_length
        self._test_boards = spec.test_boards()

    def boards(self, count: int, *, generator: np.random.Generator) -> Boards:
        """Draw first boards of the language, uint8 [B, R, C]."""
        shares = self.spec.density.shares(count, generator=generator)
        return self.spec.layout.draw(
            shares, rows=self.spec.rows, columns=self.spec.columns, generator=generator
        )

    def advance(self, boards: Boards) -> Boards:
        """Return boards [B, R, C] the language's number of steps later."""
        spec = self.spec
        return step(boards, rule=self.rule, border=spec.border, steps=spec.steps)

    def draw(
        self, count: int, *, generator: np.random.Generator, split: Split = "train"
    ) -> Strings:
        boards = self.boards(count, generator=generator)
        return self.notation.strings(boards, after=self.advance(boards))

    def batch(self, strings: Strings) -> Batch:
        rows = strings.tokens.reshape(len(strings), self.notation.length).astype(np.int64)
        count, steps = len(rows), self.max_length
        scored = np.ones((count, steps), dtype=bool)
        known = None
        if self.spec.loss == "completion":
            scored[:, : self.notation.prompt_length - 1] = False
        elif not self.spec.layout.independent:
            # Targets begin with the second character, so each is one position further left.
            first = self.notation.first_cell - 1
            known = scored.copy()
            known[:, first : first + self.notation.cells] = False
        return Batch(rows[:, :-1], rows[:, 1:], scored, strings, known)

    def floor(self, batch: Batch) -> Floor:
        """Return the exact floor: the cells of S1 where they are compared; all else is certain."""
        compared = int(batch.compared.sum())
        certain = Floor(0.0, correct=compared, scored=compared, strings=len(batch))
        if self.spec.certain:
            return certain
        cells = self.notation.first_boards(batch.strings)
        alive = self.spec.density.predict(cells)
        own = np.where(cells == 1, alive, 1 - alive)
        missed = float((1 - np.maximum(alive, 1 - alive)).sum())
        return Floor(
            nats=float(-np.log(own).sum()),
            correct=compared - missed,
            scored=compared,
            strings=len(batch),
        )

    def true_distributions(self, batch: Batch) -> npt.NDArray[np.float64] | None:
        """None if every compared token is certain: if S1 is not scored, or its floor is unknown."""
        if self.spec.certain:
            return None
        true = np.zeros((*batch.targets.shape, self.outputs))
        np.put_along_axis(true, batch.targets[..., np.newaxis], 1.0, axis=2)
        alive = self.spec.density.predict(self.notation.first_boards(batch.strings))
        # Targets begin with the second character, so each is one position further left.
        first = self.notation.first_cell - 1
        cells = true[:, first : first + self.notation.cells]
        cells[..., self.notation.states] = np.stack([1 - alive, alive], axis=2)
        return true

    def generative_evaluation(
        self, count: int, *, generator: np.random.Generator
    ) -> GenerativeEvaluation:
        """Ask for the boards after drawn boards and test boards, then for roll-outs."""
        drawn = BoardSet("drawn", self.boards(count, generator=generator))
        shape = {"rows": self.spec.rows, "columns": self.spec.columns}
        sets: list[BoardSet] = []
        for density in TEST_DENSITIES:
            alike = density in (0, 1)
            shares = np.full(1 if alike else min(count, TEST_BOARDS), density)
            boards = Homogeneous().draw(shares, **shape, generator=generator)
            sets.append(BoardSet(f"density {density:g}", boards))
        sets += [BoardSet(name, board[np.newaxis]) for name, board in self._test_boards.items()]
        evaluation = LifeEvaluation(
            self.notation, advance=self.advance, rollout_steps=self.spec.rollout_steps
        )
        return evaluation.run(drawn=drawn, sets=sets)

    def prompt(self, text: str | None, *, count: int, generator: np.random.Generator) -> Prompt:
        """Return the prompt of a board as `read_board` reads it; None for drawn boards."""
        if text is None:
            boards = self.boards(count, generator=generator)
        else:
            own = read_board(text, rows=self.spec.rows, columns=self.spec.columns)
            boards = np.repeat(own[np.newaxis], count, axis=0)
        return self.notation.prompt(boards)

    def check_completions(self, prompt: Prompt, *, completions: Tokens) -> tuple[Sample, ...]:
        boards = self.notation.prompt_boards(prompt.tokens[: len(completions)])
        return check_completions(
            self.notation, boards, true=self.advance(boards), completions=completions
        )

    @property
    def token_names(self) -> tuple[str, ...]:
        return tuple(repr(character) for character in self.notation.characters)

    def describe(self) -> Description:
        boards = self.boards(DRAWN, generator=seeding.generator(0, "data"))
        return describe(self.spec, notation=self.notation, boards=boards, advance=self.advance)
