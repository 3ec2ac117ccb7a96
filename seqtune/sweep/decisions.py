"""decisions.jsonl: what a sweep proposed, stopped, confirmed and gave up, and why. A line an event."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class Decisions:
    """The log of one sweep; its driver alone writes it.

    Attributes:
        ended: names of the runs whose end is logged.
    """

    def __init__(self, path: Path) -> None:
        """Reads what earlier sittings wrote; half a line that a killed driver left is taken off."""
        self._path = path
        self.ended: set[str] = set()
        for line in whole_lines(path):
            self._learn(json.loads(line))

    def add(self, event: str, **facts: Any) -> None:
        """Writes an event down."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._learn({"event": event, **facts})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": now, "event": event, **facts}) + "\n")

    def _learn(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "ended":
                self.ended.add(event["run"])
            case "retried":
                self.ended.discard(event["run"])
            case _:
                pass


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file that is appended to; a last one that was cut short is taken off."""
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        log.warning("%s: its last line was cut short and is dropped", path)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(whole)
        partial.replace(path)
    return whole.splitlines()
