"""What a model makes of boards that it is shown: single predictions, and roll-outs of its own boards.

The language is deterministic, so completions are taken at temperature 0. What a model is asked:

- boards drawn like those it was trained on, which give the `generate/` scores;
- test sets: random boards of five densities, and a board for each pattern;
- roll-outs: from the first board of each test set, the model reads its own prediction again and again,
  and is compared with the true course of the board that it began with.

A cell is right only if it is in its place and correct: from a completion's first character that is
neither the ` [` it must begin with nor a cell, all further cells are missing, and count as wrong. A
completion is exact if its cells are right and `]$` follows them, and nothing else. A roll-out whose board
is malformed ends there: in its remaining steps every cell counts as wrong.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from seqtune.tasks.base import Mask, Tokens
from seqtune.tasks.generative_evaluation import Exam, GenerationResult, Prompt, Sample
from seqtune.tasks.life import judging
from seqtune.tasks.life.board import Boards
from seqtune.tasks.life.notation import MISSING, Notation, Reading
from seqtune.tasks.score import Score

Rows: TypeAlias = tuple[Mapping[str, str | float], ...]

SAMPLES = 12
"""Boards of an exam that are kept to be looked at: the first of each set, of so many sets."""


@dataclass(frozen=True, eq=False)
class BoardSet:
    """Boards [B, R, C] that are scored together."""

    name: str
    boards: Boards


@dataclass(frozen=True, eq=False)
class Judged:
    """Predicted boards beside the true ones; B boards.

    Attributes:
        valid: bool [B], whether the completion is well-formed.
        right: bool [B, R, C], whether the cell is.
        exact: bool [B], whether everything is.
    """

    valid: Mask
    right: Mask
    exact: Mask

    @classmethod
    def of(cls, reading: Reading, *, truth: Boards) -> "Judged":
        """Compares what was read with what is true."""
        right = reading.cells == truth
        return cls(reading.valid, right, exact=reading.valid & right.all(axis=(1, 2)))

    def scores(self, rows: slice = slice(None)) -> dict[str, Score]:
        """Shares of valid completions, right cells and exact boards, of all boards or of some rows."""
        cells = self.right.mean(axis=(1, 2))
        parts = {"valid": self.valid, "cells": cells, "exact": self.exact}
        return {name: Score.mean(part[rows]) for name, part in parts.items()}

    def shares(self, rows: slice = slice(None)) -> dict[str, float]:
        """The values of `scores`."""
        return {name: score.value for name, score in self.scores(rows).items()}


@dataclass(frozen=True)
class LifeEvaluation:
    """The exam of one world.

    Attributes:
        notation: how boards are written and read.
        after: what becomes of boards in the language's number of steps.
        rollout_steps: how often a model reads its own board, the first prediction included.
    """

    notation: Notation
    after: Callable[[Boards], Boards]
    rollout_steps: int

    def run(self, *, drawn: BoardSet, sets: Sequence[BoardSet]) -> Exam:
        """Asks for all boards at once, then step by step for the roll-outs."""
        asked = [drawn, *sets]
        boards = np.concatenate([each.boards for each in asked])
        completions = yield self._prompt(boards)
        reading = self.notation.read(completions)
        judged = Judged.of(reading, truth=self.after(boards))
        firsts = np.cumsum([0, *(len(each.boards) for each in asked)])
        by_set: Rows = tuple(
            {"test set": each.name, "boards": len(each.boards)} | judged.shares(slice(start, stop))
            for each, start, stop in zip(asked, firsts[:-1], firsts[1:], strict=True)
        )
        scores = {
            f"generate/{name}": score
            for name, score in judged.scores(slice(len(drawn.boards))).items()
        }
        tables: dict[str, Rows] = {"scores by test set": by_set}
        samples = [
            self._sample(each.name, board=boards[first], completion=completions[first])
            for each, first in zip(asked[:SAMPLES], firsts[:-1], strict=False)
        ]
        if self.rollout_steps > 0 and sets:
            starts = firsts[1:-1]
            first = Reading(reading.cells[starts], reading.valid[starts])
            steps = yield from self._roll_out(boards[starts], first=first)
            found = _rolled(steps, names=[each.name for each in sets])
            scores |= found.scores
            tables |= found.tables
        return GenerationResult(scores, tables, samples=tuple(samples))

    def _prompt(self, boards: Boards) -> Prompt:
        return Prompt(
            self.notation.prompts(boards),
            longest=self.notation.completion_length,
            stop=self.notation.stop,
            temperature=0.0,
        )

    def _roll_out(
        self, starts: Boards, *, first: Reading
    ) -> Generator[Prompt, Tokens, list[Judged]]:
        """The judged boards of every step; that of the first has been asked for already."""
        truth, reading = self.after(starts), first
        steps = [Judged.of(reading, truth=truth)]
        going = first.valid
        while len(steps) < self.rollout_steps:
            truth = self.after(truth)
            cells = np.full_like(reading.cells, MISSING)
            valid = np.zeros_like(going)
            if going.any():
                completions = yield self._prompt(reading.cells[going].astype(np.uint8))
                read = self.notation.read(completions)
                cells[going], valid[going] = read.cells, read.valid
            reading, going = Reading(cells, valid), valid
            steps.append(Judged.of(reading, truth=truth))
        return steps

    def _sample(self, title: str, *, board: Boards, completion: Tokens) -> Sample:
        batch = board[np.newaxis]
        (sample,) = judging.judged(
            self.notation, batch, truth=self.after(batch), completions=completion[np.newaxis]
        )
        return replace(sample, title=title)


def _rolled(steps: list[Judged], *, names: list[str]) -> GenerationResult:
    """Scores and tables of roll-outs, which have those names; boards are the units that scores count."""
    right = np.stack([step.right for step in steps])
    exact = np.stack([step.exact for step in steps])
    wrong = ~exact
    first_wrong = np.where(wrong.any(axis=0), wrong.argmax(axis=0), len(steps)) + 1
    wrong_cells = (~right).sum(axis=(0, 2, 3))
    by_step = tuple(
        {"step": number, "cells": float(step.right.mean()), "exact": float(step.exact.mean())}
        for number, step in enumerate(steps, start=1)
    )
    by_board = tuple(
        {"board": name, "first wrong step": int(first), "wrong cells": int(cells)}
        for name, first, cells in zip(names, first_wrong, wrong_cells, strict=True)
    )
    scores = {
        "rollout/cells": Score.mean(right.mean(axis=(0, 2, 3))),
        "rollout/exact": Score.mean(exact.mean(axis=0)),
        "rollout/first_wrong": Score.mean(first_wrong),
    }
    return GenerationResult(
        scores, {"roll-outs by step": by_step, "roll-outs by board": by_board}, samples=()
    )
