"""What share of a GPU the runs of a cell take, where that is measured."""

from collections.abc import Mapping
from typing import Any

from seqtune.runs.directory import run_directories
from seqtune.sweep.planning.resource_request import gpu_share
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.studies import Studies


class GpuPacking:
    """Of each cell: that of its run that held most."""

    def __init__(self, studies: Studies) -> None:
        """Reads what earlier sittings measured, where the sweep has shares measured at all."""
        self._measures = studies.plan.sweep.resources.packs
        self._directory = studies.directory
        self._of: dict[str, float] = {}
        if self._measures:
            for directory in run_directories(studies.root / "runs"):
                info = directory.info()
                self._read(info, cell=info["sweep"]["cell"])

    def of(self, cell: str) -> float | None:
        """The share of a cell's runs; None before one was measured."""
        return self._of.get(cell)

    def look(self, proposal: Proposal) -> None:
        """Reads what an open run has measured."""
        if self._measures:
            self._read(self._directory(proposal).info(), cell=proposal.cell.name)

    def _read(self, info: Mapping[str, Any], *, cell: str) -> None:
        found = info.get("gpu_memory")
        if found is not None:
            share = gpu_share(found["held_bytes"], found["total_bytes"])
            self._of[cell] = max(share, self._of.get(cell, 0.0))
