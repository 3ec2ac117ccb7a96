"""How far each cell has come: what the live table shows, and how a cell is found to be hopeless."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seqtune.runs.directory import cause
from seqtune.sweep.planning.plan import Cell

ALIKE = 3
"""A cell whose first so many runs all fail in the same way is given up."""


@dataclass(eq=False)
class CellProgress:
    """How far a cell has come.

    Attributes:
        running: runs under way, of which `confirming` are confirm runs; `resting` are those laid aside at a rung.
        search: search trials that ended, by state; `confirm` likewise.
        best: best value of the sweep's metric in any search trial so far.
        confirmed: its last value in each confirm run that finished.
        given_up: why no more runs of the cell are begun, if so.
    """

    cell: Cell
    running: int = 0
    confirming: int = 0
    resting: int = 0
    search: dict[str, int] = field(default_factory=dict)
    confirm: dict[str, int] = field(default_factory=dict)
    best: float | None = None
    confirmed: list[float] = field(default_factory=list)
    given_up: str | None = None
    _ways: list[str] = field(default_factory=list)

    @property
    def ended(self) -> int:
        """Runs that ended, in whatever way."""
        return sum(self.search.values()) + sum(self.confirm.values())

    @property
    def failed(self) -> int:
        """Runs that failed or diverged."""
        counts = (self.search, self.confirm)
        return sum(each.get(state, 0) for each in counts for state in ("failed", "diverged"))

    def runs(self, seeds: int) -> int:
        """How many the cell has in all, with so many confirm runs; if it was given up, those that began."""
        return self.cell.trials + seeds if self.given_up is None else self.running + self.ended

    def unbegun(self, seeds: int) -> tuple[int, int]:
        """Search trials that are still to begin, and of so many confirm runs likewise."""
        if self.given_up is not None:
            return 0, 0
        searching = self.running - self.confirming + self.resting
        trials = self.cell.trials - sum(self.search.values()) - searching
        return trials, max(0, seeds - sum(self.confirm.values()) - self.confirming)

    def end(self, info: Mapping[str, Any], *, phase: str, audited: bool = False) -> None:
        """Counts a run that ended, by what its run.json says."""
        counts = self.search if phase == "search" else self.confirm
        counts[info["state"]] = counts.get(info["state"], 0) + 1
        if not audited:
            self._ways.append(_way(info))

    def audit(self) -> None:
        """Notes a run that was stopped and is audited: however it ends, the cell has one that did not fail."""
        self._ways.append("")

    def refuse(self) -> None:
        """Counts a search trial that could not be run at all."""
        self.search["failed"] = self.search.get("failed", 0) + 1

    def hopeless(self) -> str | None:
        """Why the cell is to be given up, if its runs so far all failed in the same way."""
        # All of them, not the first: in which order they ended is not known any more to another sitting.
        if len(self._ways) < ALIKE or len(set(self._ways)) > 1 or not self._ways[0]:
            return None
        return f"its first {ALIKE} runs ended alike ({self._ways[0]})"


def _way(info: Mapping[str, Any]) -> str:
    """In which way a run failed or diverged, so that others can be said to have done alike; else empty."""
    match cause(info):
        case "error":
            # With the kind of exception: two errors need not be alike.
            return ":".join(info["reason"].split(":")[:2])
        case "oom" | "timeout" | "lost" | "diverged" as way:
            return way
        case _:
            return ""
