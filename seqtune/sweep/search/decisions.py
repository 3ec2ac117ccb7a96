"""Writes decisions.jsonl: what a sweep proposed, stopped, confirmed and gave up, and why.

The log is for people and tools (`seqtune.runs.decision_log` lists its events). A driver session
only appends to it; studies and run directories alone determine how a sweep is resumed.
"""

import json
import logging
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seqtune.sweep.search.proposal import Proposal, Standing

log = logging.getLogger(__name__)


class Decisions:
    """Appends to the log of one sweep; only its driver writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        drop_partial_line(path)

    def write(self, event: str, *, cell: str, **facts: Any) -> None:
        """Append an event of a cell.

        Raises:
            OSError: if it cannot be written, with the file's name; the log is then as before.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "event": event, "cell": cell}
        line |= {name: _finite(value) for name, value in facts.items()}
        _append(self._path, json.dumps(line) + "\n")

    def write_run(self, event: str, proposal: Proposal, **facts: Any) -> None:
        """Append an event of a run."""
        about = {"run": proposal.name, "phase": proposal.phase}
        self.write(event, cell=proposal.cell.name, **about, **facts)

    def write_standing(
        self, event: str, proposal: Proposal, standing: Standing, **facts: Any
    ) -> None:
        """Append an event of a run that follows from its rank among others."""
        at = {"epoch": standing.epoch, "value": standing.value, "rung": standing.rung}
        rank = {"rank": standing.rank, "measured": standing.among, "reason": str(standing)}
        self.write_run(event, proposal, **at, **rank, **facts)


def drop_partial_line(path: Path) -> None:
    """Remove the last line of a file if a driver was killed while writing it."""
    if not path.exists():
        return
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        log.warning("%s: its last line was cut short and is dropped", path)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(whole)
        partial.replace(path)


def _finite(value: Any) -> Any:
    """Replace a number that JSON cannot hold by None."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _append(path: Path, line: str) -> None:
    """Append a whole line or nothing."""
    with path.open("ab", buffering=0) as file:
        before, rest = file.tell(), line.encode()
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            # Truncating to the former length works on a full disk too.
            file.truncate(before)
            raise OSError(error.errno, error.strerror, str(path)) from error
