"""Generative evaluation of predicted boards: single predictions and roll-outs, checked cell by cell.

The language is deterministic, so completions are taken at temperature 0. The prompts are:

- boards drawn like those of the training, which give the `generate/` scores;
- test sets: random boards of five densities, and one board per pattern;
- roll-outs: from the first board of each test set on, the model reads its own prediction again and
  again, and is compared with the true evolution of the first board.

A completion is right if it is ` [S2]$`, S2 being the board that follows the prompt's, and wrong
from its first differing character on. Cells after the first character that is out of place are
missing, and count as wrong. A roll-out ends with a malformed board: in its remaining steps every
cell counts as wrong.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from seqtune.tasks.base import Mask, Tokens
from seqtune.tasks.generative_evaluation import (
    CELLS,
    Cells,
    GenerationResult,
    GenerativeEvaluation,
    Prompt,
    Sample,
)
from seqtune.tasks.life.board import Boards
from seqtune.tasks.life.notation import MISSING, Notation, PredictedBoards
from seqtune.tasks.score import Score

TableRows: TypeAlias = tuple[Mapping[str, str | float], ...]

SAMPLES = 12
"""Most boards that are kept as samples: the first of each set."""


@dataclass(frozen=True, eq=False)
class BoardSet:
    """Boards [B, R, C] that are scored together."""

    name: str
    boards: Boards


@dataclass(frozen=True, eq=False)
class BoardComparison:
    """Predicted boards compared with the true ones; B boards.

    Attributes:
        valid: bool [B], whether the completion is well-formed.
        right: bool [B, R, C], whether the cell is right.
        exact: bool [B], whether the completion is well-formed and all cells are right.
    """

    valid: Mask
    right: Mask
    exact: Mask

    @classmethod
    def of(cls, predicted: PredictedBoards, *, true: Boards) -> "BoardComparison":
        """Compare predicted boards with the true boards [B, R, C]."""
        right = predicted.cells == true
        return cls(predicted.valid, right, exact=predicted.valid & right.all(axis=(1, 2)))

    def scores(self, rows: slice = slice(None)) -> dict[str, Score]:
        """Return shares of valid completions, right cells and exact boards, of all or some boards."""
        cells = self.right.mean(axis=(1, 2))
        parts = {"valid": self.valid, "cells": cells, "exact": self.exact}
        return {name: Score.mean(part[rows]) for name, part in parts.items()}


@dataclass(frozen=True)
class LifeEvaluation:
    """The generative evaluation of one language of boards.

    Attributes:
        notation: writes and reads boards.
        advance: returns boards in the language's number of steps later.
        rollout_steps: boards that a model predicts in a roll-out, the first one included.
    """

    notation: Notation
    advance: Callable[[Boards], Boards]
    rollout_steps: int

    def run(self, *, drawn: BoardSet, sets: Sequence[BoardSet]) -> GenerativeEvaluation:
        """Ask for all boards at once, then step by step for the roll-outs."""
        groups = [drawn, *sets]
        boards = np.concatenate([group.boards for group in groups])
        completions = yield self._prompt(boards)
        predicted = self.notation.read(completions)
        comparison = BoardComparison.of(predicted, true=self.advance(boards))
        begins = np.cumsum([0, *(len(group.boards) for group in groups)])
        by_set: TableRows = tuple(
            {"test set": group.name, "boards": len(group.boards)}
            | {name: score.value for name, score in comparison.scores(slice(begin, end)).items()}
            for group, begin, end in zip(groups, begins[:-1], begins[1:], strict=True)
        )
        own = comparison.scores(slice(len(drawn.boards)))
        scores = {f"generate/{name}": score for name, score in own.items()}
        tables: dict[str, TableRows] = {"scores by test set": by_set}
        samples = [
            self._sample(group.name, board=boards[begin], completion=completions[begin])
            for group, begin in zip(groups[:SAMPLES], begins[:-1], strict=False)
        ]
        if self.rollout_steps > 0 and sets:
            starts = begins[1:-1]
            first = PredictedBoards(predicted.cells[starts], predicted.valid[starts])
            steps = yield from self._roll_out(boards[starts], first=first)
            found = _score_rollouts(steps, names=[group.name for group in sets])
            scores |= found.scores
            tables |= found.tables
        return GenerationResult(scores, tables, samples=tuple(samples))

    def _prompt(self, boards: Boards) -> Prompt:
        return self.notation.prompt(boards)

    def _roll_out(
        self, starts: Boards, *, first: PredictedBoards
    ) -> Generator[Prompt, Tokens, list[BoardComparison]]:
        """Compare the boards of every step; the first predictions are known already."""
        true, predicted = self.advance(starts), first
        steps = [BoardComparison.of(predicted, true=true)]
        while len(steps) < self.rollout_steps:
            true = self.advance(true)
            valid = predicted.valid
            cells = np.full_like(predicted.cells, MISSING)
            still_valid = np.zeros_like(valid)
            if valid.any():
                completions = yield self._prompt(predicted.cells[valid].astype(np.uint8))
                read = self.notation.read(completions)
                cells[valid], still_valid[valid] = read.cells, read.valid
            predicted = PredictedBoards(cells, still_valid)
            steps.append(BoardComparison.of(predicted, true=true))
        return steps

    def _sample(self, title: str, *, board: Boards, completion: Tokens) -> Sample:
        batch = board[np.newaxis]
        (sample,) = check_completions(
            self.notation, batch, true=self.advance(batch), completions=completion[np.newaxis]
        )
        return replace(sample, title=title)


def _score_rollouts(steps: list[BoardComparison], *, names: list[str]) -> GenerationResult:
    """Return scores and tables of roll-outs by name; the units that scores count are boards."""
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
    tables = {"roll-outs by step": by_step, "roll-outs by board": by_board}
    return GenerationResult(scores, tables, samples=())


def check_completions(
    notation: Notation, boards: Boards, *, true: Boards, completions: Tokens
) -> tuple[Sample, ...]:
    """Return completions [B, N] of the prompts of `boards` as samples, numbered from 1.

    Args:
        notation: writes and reads boards.
        boards: boards [B, R, C] of the prompts.
        true: the boards that follow them.
        completions: what a model predicts.
    """
    width = notation.completion_length
    own = np.full((len(completions), width), -1, dtype=np.int64)
    own[:, : completions.shape[1]] = completions[:, :width]
    strings = notation.strings(boards, after=true).tokens.reshape(len(boards), notation.length)
    wrong = own != strings[:, notation.prompt_length :]
    coded = code_cells(notation.read(completions).cells, true=true)
    prompts = notation.prompt(boards).tokens
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
                    "truth": true[row].astype(np.int8),
                    "prediction": cells,
                },
                wrong_at=None if right else len(prompt) + at,
                reason="" if right else _reason(at, true=true[row], coded=cells),
            )
        )
    return tuple(samples)


def code_cells(cells: Cells, *, true: Boards) -> Cells:
    """Return predicted cells by the codes of `seqtune.tasks.generative_evaluation.CELLS`."""
    coded = np.where(cells == true, cells, cells + 2)
    return np.where(cells == MISSING, CELLS.index("missing"), coded).astype(np.int8)


def _reason(at: int, *, true: Boards, coded: Cells) -> str:
    """What must stand at a completion's character, counted from 0, and how many cells are wrong."""
    wrong = int((coded > 1).sum())
    number = at - 2
    if number < 0:
        return "must begin with a blank and ["
    if number >= true.size:
        return "must end with ]$"
    row, column = divmod(number, true.shape[1])
    of = f"{wrong} of {true.size} cells {'is' if wrong == 1 else 'are'} wrong"
    return f"row {row + 1}, column {column + 1} must be {CELLS[true[row, column]]}; {of}"
