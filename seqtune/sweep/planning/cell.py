"""A cell of a sweep: one combination of compared values, with what is searched inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seqtune.config.nested import assign
from seqtune.runs.spec import RunSpec
from seqtune.sweep.planning.distributions import Choice, Range
from seqtune.sweep.planning.grid import Compared
from seqtune.sweep.planning.match import Matched
from seqtune.sweep.planning.search_points import first_point


@dataclass(frozen=True)
class Cell:
    """One combination of compared values: searched by itself, then confirmed.

    Attributes:
        name: what people read, unique in the sweep: `height=2, layers=1`.
        key: the same for file names.
        arm: name of its arm, if the sweep has any.
        compared: the compared values, by dotted path.
        tune: what is searched inside, by dotted path.
        trials: number of search trials.
        data: the run as plain data, but for tuned values and seed.
        matched: what was solved for it, and is part of `data`; None where nothing was.
    """

    name: str
    key: str
    arm: str | None
    compared: Compared
    tune: Mapping[str, Range | Choice]
    trials: int
    data: dict[str, Any] = field(repr=False)
    matched: Matched | None = None

    def run(self, *, tuned: Mapping[str, Any], seed: int) -> RunSpec:
        """The run with these tuned values and this seed."""
        return RunSpec.parse(assign(self.data, {**tuned, "seed": seed}))

    def fixed(self) -> dict[str, Any]:
        """The run's plain data, tuned values and seed left open: what all its runs share."""
        return open_fields(self.run(tuned=first_point(self.tune), seed=0), paths=self.tune)


def open_fields(spec: RunSpec, *, paths: Mapping[str, Any]) -> dict[str, Any]:
    """A run's plain data without its seed and with null at the given paths."""
    data = spec.to_data()
    del data["seed"]
    return assign(data, dict.fromkeys(paths))
