"""Progress of each cell: counts for the live table, run times for its estimate, and giving up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from seqtune.runs.directory import cause
from seqtune.sweep.planning.cell import Cell

GIVE_UP_AFTER = 3
"""A cell is given up if all its runs, at least so many, fail in the same way."""


@dataclass(eq=False)
class CellProgress:
    """Progress of a cell.

    Attributes:
        running: runs in flight; `confirming` of them are confirm runs. `paused` runs wait at a
            rung.
        search: number of search trials that ended, by state; `confirm` likewise.
        best: best value of the sweep's metric in any search trial so far.
        confirmed: last value of the metric in each confirm run that finished.
        given_up: why no more runs of the cell are started, if so.
        reached: by name of a run in flight, its last measured epoch.
        epoch_seconds: by name of a run, its mean seconds per epoch.
        trial_epochs: epochs that each ended search trial has trained.
    """

    cell: Cell
    running: int = 0
    confirming: int = 0
    paused: int = 0
    search: dict[str, int] = field(default_factory=dict)
    confirm: dict[str, int] = field(default_factory=dict)
    best: float | None = None
    confirmed: list[float] = field(default_factory=list)
    given_up: str | None = None
    reached: dict[str, int] = field(default_factory=dict)
    epoch_seconds: dict[str, float] = field(default_factory=dict)
    trial_epochs: list[int] = field(default_factory=list)
    _failures: list[str] = field(default_factory=list)

    @property
    def ended(self) -> int:
        """Runs that ended, in any state."""
        return sum(self.search.values()) + sum(self.confirm.values())

    @property
    def failed(self) -> int:
        """Runs that failed or diverged."""
        counts = (self.search, self.confirm)
        return sum(each.get(state, 0) for each in counts for state in ("failed", "diverged"))

    def runs(self, seeds: int) -> int:
        """Return the number of the cell's runs; if given up, of those that started."""
        return self.cell.trials + seeds if self.given_up is None else self.running + self.ended

    def epochs_left(self, seeds: int, *, epochs: int) -> float:
        """Return the epochs that the cell's runs will probably still train.

        A search trial is expected to train as long as those that ended did, a confirm run `epochs`.
        """
        trial = min(fmean(self.trial_epochs), epochs) if self.trial_epochs else epochs
        left = float(sum(epochs - epoch for epoch in self.reached.values()))
        if self.given_up is None:
            searching = self.running - self.confirming + self.paused
            left += trial * (self.cell.trials - sum(self.search.values()) - searching)
            left += epochs * max(0, seeds - sum(self.confirm.values()) - self.confirming)
        return left

    def end(self, info: Mapping[str, Any], *, phase: str, audited: bool = False) -> None:
        """Count a run that ended, by its run.json."""
        counts = self.search if phase == "search" else self.confirm
        counts[info["state"]] = counts.get(info["state"], 0) + 1
        if not audited:
            self._failures.append(_failure(info))

    def audit(self) -> None:
        """Record a run that was stopped and is audited: however it ends, it did not fail."""
        self._failures.append("")

    def refuse(self) -> None:
        """Count a search trial whose values cannot be combined."""
        self.search["failed"] = self.search.get("failed", 0) + 1

    def reason_to_give_up(self) -> str | None:
        """Return why the cell should be given up, if all its runs so far failed in the same way."""
        # All of them, not the first ones: a later session does not know in which order they ended.
        found = self._failures
        if len(found) < GIVE_UP_AFTER or len(set(found)) > 1 or not found[0]:
            return None
        return f"its first {GIVE_UP_AFTER} runs all failed in the same way ({found[0]})"


def _failure(info: Mapping[str, Any]) -> str:
    """In which way a run failed or diverged; empty if it did neither."""
    match cause(info):
        case "error":
            # With the kind of exception: two errors may have different reasons.
            return ":".join(info["reason"].split(":")[:2])
        case "oom" | "timeout" | "lost" | "diverged" as way:
            return way
        case _:
            return ""
