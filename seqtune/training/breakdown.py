"""Scores broken down by position, by length of the string and by level of the tree.

The rows of a table partition the scored tokens. As everywhere, the standard error of a score is
that of a ratio of sums over strings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seqtune import seeding
from seqtune.models.base import SequenceModel
from seqtune.tasks.base import Batch, WithTrees
from seqtune.tasks.score import Score
from seqtune.training.evaluation import TOKENS_PER_BATCH, Evaluator
from seqtune.training.scoring import floor_losses, score_batch

Row: TypeAlias = Mapping[str, str | int | Score]
Numbers: TypeAlias = npt.NDArray[np.float64]
Groups: TypeAlias = npt.NDArray[np.int64]

POSITIONS = 32
"""Largest number of rows of the table by position."""

LENGTHS = 8
"""Largest number of rows of the table by length."""

TREE_STREAM = 1
"""Index of the random stream from which strings with trees are drawn."""


ABOUT = {
    "by position": "where in the string the token is that is predicted, from 1",
    "by length": "tokens of the string itself",
    "by level": "the highest level of which a node ends just before the token that is predicted",
}
"""The tables and the meaning of their rows."""

FLOOR_SCORES = ("excess", "kl")
"""Scores over the tokens whose floor is known; the others are over all scored tokens."""


@dataclass(frozen=True, eq=False)
class _BatchScores:
    """Scores of a batch by name, float64 [B, T] on the host; 0 for tokens that do not count."""

    batch: Batch
    values: dict[str, Numbers]


def make_tables(evaluator: Evaluator, model: SequenceModel) -> dict[str, tuple[Row, ...]]:
    """Return the tables of the task, by name.

    `by position` and `by length` are of the validation strings; the latter only if their lengths
    differ. `by level`, for tasks with trees, is of as many strings drawn with their trees; see
    `levels`.
    """
    has_floor = evaluator.floor is not None
    found = [
        _score(model, batch, truth=evaluator.truth(number), has_floor=has_floor)
        for number, batch in enumerate(evaluator.batches)
    ]
    tables = {"by position": _by_position(found)}
    if len(np.unique(evaluator.strings.lengths)) > 1:
        tables["by length"] = _by_length(found)
    generator = seeding.generator(evaluator.spec.seed, "valid", TREE_STREAM)
    labelled = evaluator.task.with_trees(evaluator.spec.strings, generator=generator)
    if labelled is not None:
        tables["by level"] = _by_level(evaluator, model, labelled=labelled)
    return tables


def levels(labelled: WithTrees) -> tuple[Groups, tuple[str, ...]]:
    """Return the level of every target [B, T] and the names of the levels.

    It is the highest level at which a node ends with the token read just before, so that the target
    begins a new node of that level or is the end of the string. Two groups come before all levels:
    targets after a token that is in no node, such as BOS, and targets inside a node of the lowest
    level.
    """
    ends = labelled.boundaries == 1
    inside = (labelled.boundaries >= 0).any(axis=0)
    count = len(labelled.levels)
    highest = count - 1 - ends[::-1].argmax(axis=0)
    groups = np.where(ends.any(axis=0), highest + 2, inside.astype(np.int64))
    names = ("after no node", "inside a node", *labelled.levels)
    return groups, names


def _score(
    model: SequenceModel, batch: Batch, *, truth: Numbers | None, has_floor: bool
) -> _BatchScores:
    scores = score_batch(model, batch, truth=truth)
    values = {"loss": scores.losses.cpu().numpy()}
    if has_floor:
        compared = np.where(batch.compared, values["loss"], 0.0)
        values["excess"] = compared - floor_losses(batch, truth=truth)
    if scores.divergences is not None:
        values["kl"] = scores.divergences.cpu().numpy()
    values["accuracy"] = scores.hits.cpu().numpy().astype(np.float64)
    return _BatchScores(batch, values)


def _by_position(found: Sequence[_BatchScores]) -> tuple[Row, ...]:
    """Count positions from 1, the first predicted; positions never scored have no row."""
    scored = [np.flatnonzero(each.batch.scored.any(axis=0)) for each in found]
    first, last = min(int(each[0]) for each in scored), max(int(each[-1]) for each in scored)
    of_position, names = _buckets(first + 1, last + 1, most=POSITIONS)
    parts: list[_Sums] = []
    for each in found:
        steps = np.arange(each.batch.tokens.shape[1]).clip(first, last) - first
        groups = np.broadcast_to(of_position[steps], each.batch.tokens.shape)
        parts.append(_Sums.of(each, groups=groups, count=len(names)))
    sums = _Sums.concatenate(parts)
    return tuple({"position": name} | sums.row(group) for group, name in sums.named(names))


def _by_length(found: Sequence[_BatchScores]) -> tuple[Row, ...]:
    """Group strings by their number of tokens, BOS and EOS not counted."""
    lengths = np.concatenate([each.batch.strings.lengths for each in found])
    first = int(lengths.min())
    of_length, names = _buckets(first, int(lengths.max()), most=LENGTHS)
    parts: list[_Sums] = []
    for each in found:
        group = of_length[each.batch.strings.lengths - first]
        groups = np.broadcast_to(group[:, np.newaxis], each.batch.tokens.shape)
        parts.append(_Sums.of(each, groups=groups, count=len(names)))
    sums, of_string = _Sums.concatenate(parts), of_length[lengths - first]
    return tuple(
        {"length": name} | sums.string_row(of_string == group, group=group)
        for group, name in sums.named(names)
    )


def _by_level(
    evaluator: Evaluator, model: SequenceModel, *, labelled: WithTrees
) -> tuple[Row, ...]:
    groups, names = levels(labelled)
    size = max(1, TOKENS_PER_BATCH // labelled.batch.tokens.shape[1])
    parts: list[_Sums] = []
    for start in range(0, len(labelled.batch), size):
        part = slice(start, start + size)
        batch = labelled.batch.rows(part)
        truth = evaluator.task.true_distributions(batch)
        found = _score(model, batch, truth=truth, has_floor=evaluator.floor is not None)
        parts.append(_Sums.of(found, groups=groups[part], count=len(names)))
    sums = _Sums.concatenate(parts)
    return tuple({"level": name} | sums.row(group) for group, name in sums.named(names))


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over the tokens of every string and group, float64 [N, G] each.

    Attributes:
        values: by score.
        scored: number of scored tokens.
        compared: number of those whose floor is known.
    """

    values: dict[str, Numbers]
    scored: Numbers
    compared: Numbers

    @classmethod
    def of(cls, found: _BatchScores, *, groups: Groups, count: int) -> "_Sums":
        """Sum the scores of a batch by group; `groups` is int64 [B, T], from 0."""
        batch = found.batch
        cells = groups + count * np.arange(len(batch))[:, np.newaxis]

        def sum_by_group(values: npt.NDArray[Any]) -> Numbers:
            weights = values.ravel().astype(np.float64)
            total = np.bincount(cells.ravel(), weights=weights, minlength=len(batch) * count)
            return total.reshape(len(batch), count).astype(np.float64)

        values = {name: sum_by_group(each) for name, each in found.values.items()}
        return cls(values, scored=sum_by_group(batch.scored), compared=sum_by_group(batch.compared))

    @classmethod
    def concatenate(cls, parts: Sequence["_Sums"]) -> "_Sums":
        """Return the sums of several batches, in order."""
        names = parts[0].values
        return cls(
            {name: np.concatenate([part.values[name] for part in parts]) for name in names},
            scored=np.concatenate([part.scored for part in parts]),
            compared=np.concatenate([part.compared for part in parts]),
        )

    def named(self, names: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Yield index and name of the groups with at least one token."""
        return ((group, name) for group, name in enumerate(names) if self.scored[:, group].any())

    def row(self, group: int) -> dict[str, int | Score]:
        """Return the scores of a group, per token."""
        scored, compared = self.scored[:, group], self.compared[:, group]
        return {"tokens": int(scored.sum())} | {
            name: Score.ratio(
                each[:, group], denominators=compared if name in FLOOR_SCORES else scored
            )
            for name, each in self.values.items()
        }

    def string_row(self, rows: npt.NDArray[np.bool_], *, group: int) -> dict[str, int | Score]:
        """Return the scores of a group that consists of whole strings."""
        hits, nats, scored = self.values["accuracy"], self.values["loss"], self.scored
        row: dict[str, int | Score] = {
            "strings": int(rows.sum()),
            "exact": Score.mean((hits == scored)[rows, group]),
            "accuracy": Score.ratio(hits[:, group], denominators=scored[:, group]),
            "loss": Score.ratio(nats[:, group], denominators=scored[:, group]),
        }
        if "excess" in self.values:
            excess = self.values["excess"]
            row["excess"] = Score.ratio(excess[:, group], denominators=self.compared[:, group])
            row["excess_string"] = Score.mean(excess[rows, group])
        return row


def _buckets(first: int, last: int, *, most: int) -> tuple[Groups, tuple[str, ...]]:
    """Cut first .. last into at most `most` ranges of nearly equal size.

    Returns:
        The range of every number, int64 [last - first + 1], and the names of the ranges: `7`, or
        `8-10`.
    """
    size = last - first + 1
    runs = np.arange(size) * min(size, most) // size
    begins = np.flatnonzero(np.diff(runs, prepend=-1)).tolist()
    names = [
        str(first + begin) if stop - begin == 1 else f"{first + begin}-{first + stop - 1}"
        for begin, stop in zip(begins, [*begins[1:], size], strict=True)
    ]
    return runs, tuple(names)
