"""A run that a sweep proposes, and its place in the sweep."""

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

    def place(self, sweep: SweepSpec) -> dict[str, Any]:
        """Its place in the sweep, for its run.json."""
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
