"""A run that a sweep proposes, its position in the sweep, and how a run compares with others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqtune.runs.spec import RunSpec
from seqtune.sweep.planning.cell import Cell
from seqtune.sweep.planning.spec import SweepSpec


@dataclass(frozen=True, eq=False)
class Proposal:
    """A run to do next.

    Attributes:
        phase: `search` or `confirm`.
        number: the search trial's number in its cell, or the confirm run's.
        tuned: values of the tuned paths.
    """

    cell: Cell
    phase: str
    number: int
    tuned: Mapping[str, Any]
    spec: RunSpec

    @property
    def name(self) -> str:
        """Name of the run directory."""
        return f"{self.cell.key}-{self.phase}{self.number:03d}-{self.spec.hash()}"

    def position(self, sweep: SweepSpec) -> dict[str, Any]:
        """Return the run's position in the sweep, for its run.json."""
        return {
            "name": sweep.name,
            "question": sweep.question,
            "metric": sweep.metric,
            "arm": self.cell.arm,
            "cell": self.cell.name,
            "phase": self.phase,
            "trial": self.number,
            "compared": self.cell.compared,
            "tuned": dict(self.tuned),
        }


@dataclass(frozen=True)
class Standing:
    """The rank of a run's value among all that were measured after the same epoch.

    Attributes:
        rank: 1 is the best.
        among: number of values, the run's own included.
        rung: number of the last rung that the run has reached, from 0; None if there are no rungs.
    """

    epoch: int
    value: float
    rank: int
    among: int
    rung: int | None

    def __str__(self) -> str:
        rung = f"at rung {self.rung} (epoch {self.epoch})"
        at = f"after epoch {self.epoch}" if self.rung is None else rung
        return f"rank {self.rank} of {self.among} {at}"
