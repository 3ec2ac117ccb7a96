"""Where a model errs: its scores by position, by length of the string and by level of the tree.

A table's rows split the scored tokens of strings into groups. Every score has the error of a ratio of sums
over strings, as everywhere.
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
from seqtune.training.evaluation import TOKENS_A_BATCH, Evaluator
from seqtune.training.scoring import read, true_losses

Row: TypeAlias = Mapping[str, str | int | Score]
Numbers: TypeAlias = npt.NDArray[np.float64]
Groups: TypeAlias = npt.NDArray[np.int64]

POSITIONS = 32
"""Most rows of the table by position."""

LENGTHS = 8
"""Most rows of the table by length."""

LABELLED = 1
"""Index of the stream that strings with their trees are drawn from."""


ABOUT = {
    "by position": "where in the string the token is that is predicted, from 1",
    "by length": "tokens of the string itself",
    "by level": "the highest level of which a node ends just before the token that is predicted",
}
"""The tables, and what their rows are."""

AGAINST_TRUTH = ("excess", "kl")
"""Scores over the tokens whose floor is known; the others are over all that are scored."""


@dataclass(frozen=True, eq=False)
class _Found:
    """What a model said to a batch: by score, float64 [B, T] on the host, 0 where a token does not count."""

    batch: Batch
    values: dict[str, Numbers]


def tables(evaluator: Evaluator, model: SequenceModel) -> dict[str, tuple[Row, ...]]:
    """All tables that there are for the task, by name.

    `by position` and `by length` are of the validation strings, the latter where their lengths differ.
    `by level`, where strings have structure, is of as many strings drawn with it; see `levels`.
    """
    has_floor = evaluator.floor is not None
    found = [
        _read(model, batch, truth=evaluator.truth(number), has_floor=has_floor)
        for number, batch in enumerate(evaluator.batches)
    ]
    made = {"by position": _by_position(found)}
    if len(np.unique(evaluator.strings.lengths)) > 1:
        made["by length"] = _by_length(found)
    generator = seeding.generator(evaluator.spec.seed, "valid", LABELLED)
    labelled = evaluator.task.with_trees(evaluator.spec.strings, generator=generator)
    if labelled is not None:
        made["by level"] = _by_level(evaluator, model, labelled=labelled)
    return made


def levels(labelled: WithTrees) -> tuple[Groups, tuple[str, ...]]:
    """The level of every target [B, T], and what the levels are called.

    It is the highest level of which a node ends at the token read just before, so that what is predicted
    begins a new node of that level, or is the end of the string. Before all levels stand targets that begin
    none: after a token that is in no node, such as BOS, and inside a node of the lowest level.
    """
    ends = labelled.boundaries == 1
    inside = (labelled.boundaries >= 0).any(axis=0)
    count = len(labelled.levels)
    highest = count - 1 - ends[::-1].argmax(axis=0)
    groups = np.where(ends.any(axis=0), highest + 2, inside.astype(np.int64))
    names = ("after no node", "inside a node", *labelled.levels)
    return groups, names


def _read(model: SequenceModel, batch: Batch, *, truth: Numbers | None, has_floor: bool) -> _Found:
    scores = read(model, batch, truth=truth)
    values = {"loss": scores.losses.cpu().numpy()}
    if has_floor:
        compared = np.where(batch.compared, values["loss"], 0.0)
        values["excess"] = compared - true_losses(batch, truth=truth)
    if scores.divergences is not None:
        values["kl"] = scores.divergences.cpu().numpy()
    values["accuracy"] = scores.hits.cpu().numpy().astype(np.float64)
    return _Found(batch, values)


def _by_position(found: Sequence[_Found]) -> tuple[Row, ...]:
    """Positions count from 1, the first that a model predicts; one that is never scored has no row."""
    scored = [np.flatnonzero(each.batch.scored.any(axis=0)) for each in found]
    first, last = min(int(each[0]) for each in scored), max(int(each[-1]) for each in scored)
    of_position, names = _buckets(first + 1, last + 1, most=POSITIONS)
    sums = _Sums.joined(
        [
            _Sums.of(
                each, groups=of_position[_clipped(each, first=first, last=last)], count=len(names)
            )
            for each in found
        ]
    )
    return tuple({"position": name} | sums.row(group) for group, name in sums.named(names))


def _clipped(found: _Found, *, first: int, last: int) -> Groups:
    """Places of a batch's positions [B, T] among those that have rows."""
    steps = np.arange(found.batch.tokens.shape[1]).clip(first, last) - first
    return np.broadcast_to(steps, found.batch.tokens.shape)


def _by_length(found: Sequence[_Found]) -> tuple[Row, ...]:
    """The length of a string counts its own tokens, without BOS and EOS."""
    lengths = np.concatenate([each.batch.strings.lengths for each in found])
    first = int(lengths.min())
    of_length, names = _buckets(first, int(lengths.max()), most=LENGTHS)
    parts: list[_Sums] = []
    for each in found:
        own = of_length[each.batch.strings.lengths - first]
        groups = np.broadcast_to(own[:, np.newaxis], each.batch.tokens.shape)
        parts.append(_Sums.of(each, groups=groups, count=len(names)))
    sums, of_string = _Sums.joined(parts), of_length[lengths - first]
    return tuple(
        {"length": name} | sums.string_row(of_string == group, group=group)
        for group, name in sums.named(names)
    )


def _by_level(
    evaluator: Evaluator, model: SequenceModel, *, labelled: WithTrees
) -> tuple[Row, ...]:
    groups, names = levels(labelled)
    size = max(1, TOKENS_A_BATCH // labelled.batch.tokens.shape[1])
    parts: list[_Sums] = []
    for start in range(0, len(labelled.batch), size):
        part = slice(start, start + size)
        batch = labelled.batch.rows(part)
        truth = evaluator.task.true_distributions(batch)
        found = _read(model, batch, truth=truth, has_floor=evaluator.floor is not None)
        parts.append(_Sums.of(found, groups=groups[part], count=len(names)))
    sums = _Sums.joined(parts)
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
    def of(cls, found: _Found, *, groups: Groups, count: int) -> "_Sums":
        """Of a batch; `groups` int64 [B, T] counts from 0."""
        batch = found.batch
        cells = groups + count * np.arange(len(batch))[:, np.newaxis]

        def summed(values: npt.NDArray[Any]) -> Numbers:
            weights = values.ravel().astype(np.float64)
            total = np.bincount(cells.ravel(), weights=weights, minlength=len(batch) * count)
            return total.reshape(len(batch), count).astype(np.float64)

        values = {name: summed(each) for name, each in found.values.items()}
        return cls(values, scored=summed(batch.scored), compared=summed(batch.compared))

    @classmethod
    def joined(cls, parts: Sequence["_Sums"]) -> "_Sums":
        """The strings of several batches, in their order."""
        names = parts[0].values
        return cls(
            {name: np.concatenate([part.values[name] for part in parts]) for name in names},
            scored=np.concatenate([part.scored for part in parts]),
            compared=np.concatenate([part.compared for part in parts]),
        )

    def named(self, names: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Number and name of the groups that have a token."""
        return ((group, name) for group, name in enumerate(names) if self.scored[:, group].any())

    def row(self, group: int) -> dict[str, int | Score]:
        """The scores of a group, each a token."""
        scored, compared = self.scored[:, group], self.compared[:, group]
        return {"tokens": int(scored.sum())} | {
            name: Score.ratio(
                each[:, group], denominators=compared if name in AGAINST_TRUTH else scored
            )
            for name, each in self.values.items()
        }

    def string_row(self, rows: npt.NDArray[np.bool_], *, group: int) -> dict[str, int | Score]:
        """The scores of the strings that make up a group."""
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
    """Cuts first .. last into at most so many runs, as equal as can be.

    Returns:
        The run of every number, int64 [last - first + 1], and the names of the runs: `7`, or `8-10`.
    """
    size = last - first + 1
    runs = np.arange(size) * min(size, most) // size
    begins = np.flatnonzero(np.diff(runs, prepend=-1)).tolist()
    names = [
        str(first + begin) if stop - begin == 1 else f"{first + begin}-{first + stop - 1}"
        for begin, stop in zip(begins, [*begins[1:], size], strict=True)
    ]
    return runs, tuple(names)
