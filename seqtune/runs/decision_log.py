"""decisions.jsonl: what a sweep decided, a line per event, for people and tools.

A line is a JSON object: `time`, `event`, the cell, for some events the run, and the facts below.

| event       | facts                          | meaning                                         |
| ----------- | ------------------------------ | ----------------------------------------------- |
| planned     | trials seeds                   | a session starts; runs that the cell is to have |
| refused     | trial tuned reason             | values that cannot be combined: a failed trial  |
| proposed    | RUN trial tuned seed reason    | the run starts; reason: who chose its values    |
| resumed     | RUN epoch                      | it continues after this epoch                   |
| paused      | RUN epoch value reason ...     | it waits at a rung (ASHA by promotion)          |
| promoted    | RUN epoch value reason ...     | it passes a rung, at once or after a pause      |
| stopped     | RUN epoch value by reason ...  | the pruner stops it                             |
| audited     | RUN epoch value by reason ...  | stopped, but it trains on: `search.audit`       |
| ended       | RUN state reason value         | as in its run.json; value: the metric's last    |
| retried     | RUN state reason               | having ended so, it is run again                |
| given up    | reason                         | no more runs of the cell are started            |
| unconfirmed | reason                         | there is nothing to confirm                     |
| confirmed   | trial tuned value seeds reason | these values get fresh seeds                    |

RUN stands for run and phase; `...` for rank, measured and rung: the run's rank among all that were
measured after that epoch (1 is the best), how many those are, and the number of the rung, from 0.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqtune.config.yaml_file import FileError

DECISIONS = "decisions.jsonl"
"""The log's name in a sweep's directory."""


@dataclass(frozen=True)
class Refusal:
    """A search trial whose values cannot be combined."""

    cell: str
    trial: int
    tuned: Mapping[str, Any]
    reason: str


@dataclass
class DecisionLog:
    """What the run directories do not say.

    Attributes:
        refused: by cell and number, the trials that could not be run.
        retried: by run, how it ended each time before it was run again: state and reason.
        given_up: by cell, why no more of its runs are started.
        unconfirmed: by cell, why there is nothing to confirm.
    """

    refused: dict[tuple[str, int], Refusal] = field(default_factory=dict)
    retried: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    given_up: dict[str, str] = field(default_factory=dict)
    unconfirmed: dict[str, str] = field(default_factory=dict)

    def add(self, event: Mapping[str, Any]) -> None:
        """Take the next event of the log.

        Raises:
            KeyError: if it lacks a fact.
        """
        cell = event["cell"]
        match event["event"]:
            case "planned" | "confirmed" as kind:
                # Every session repeats what has no answer.
                self.unconfirmed.pop(cell, None)
                if kind == "planned":
                    self.given_up.pop(cell, None)
            case "refused":
                found = Refusal(cell, event["trial"], event["tuned"], event["reason"])
                self.refused[cell, found.trial] = found
            case "retried":
                end = event["state"], event["reason"]
                self.retried.setdefault(event["run"], []).append(end)
            case "given up":
                self.given_up[cell] = event["reason"]
            case "unconfirmed":
                self.unconfirmed[cell] = event["reason"]


def read_decisions(path: Path) -> DecisionLog | None:
    """Read a log; None if there is none. A last line that is still being written is left out.

    Raises:
        FileError: if a line of it is not an event.
    """
    if not path.exists():
        return None
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return parse_decisions(whole.splitlines(), path=path)


def parse_decisions(lines: Iterable[str | bytes], *, path: Path) -> DecisionLog:
    """Read the lines of a log.

    Raises:
        FileError: if a line is not an event; `path` is the file it names.
    """
    found = DecisionLog()
    for number, line in enumerate(lines, start=1):
        try:
            found.add(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            what = f"has no {error}" if isinstance(error, KeyError) else str(error)
            raise FileError(f"{path}: line {number}: {what}; move the file away") from None
    return found
