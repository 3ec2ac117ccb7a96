"""decisions.jsonl, replayed: what the studies of a sweep know, from the events of its log alone.

A line is a JSON object: `time`, `event`, the cell or the run that it is about, and the facts below. An event
that would change nothing of what is known is not written, so a sweep that is started again repeats none.

| event       | facts                               | what was decided, or found                                |
|-------------|-------------------------------------|-----------------------------------------------------------|
| planned     | cell trials seeds                   | how many runs the cell is to have; again where it is more |
| refused     | cell trial tuned reason             | these values cannot be combined: a failed trial           |
| proposed    | RUN trial tuned seed reason         | the run begins; the reason says who drew its values       |
| resumed     | RUN epoch                           | left by an earlier sitting, it goes on after this epoch   |
| rests       | RUN epoch value reason ...          | it is laid aside at a rung                                |
| promoted    | RUN epoch reason ...                | it passes a rung, at once or after a rest                 |
| stopped     | RUN epoch value by reason ...       | the pruner tells it to stop                               |
| audited     | RUN epoch value by reason ...       | stopped by the pruner, it goes on: see `sweep.audit`      |
| ended       | RUN state reason value              | so its directory says; the value is the metric's last     |
| retried     | RUN state reason                    | having ended so, it is done again                         |
| dropped     | RUN reason                          | proposed, it never began, and will not                    |
| given up    | cell reason                         | no more runs of the cell are begun                        |
| unconfirmed | cell reason                         | its search is over, and there is nothing to confirm       |
| confirmed   | cell trial tuned value seeds reason | its search is over: these values get fresh seeds          |

RUN stands for run, cell and phase; `...` for rank, measured and rung: the run's place among all that were
measured after that epoch (1 is the best), how many those are, and the number of the rung, from 0.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from seqtune.config.yaml_file import FileError
from seqtune.runs.decision_log import ChosenTrial, LoggedCell, LoggedRun, Refusal, RunEnd
from seqtune.runs.directory import STATES

DECISIONS = "decisions.jsonl"
"""The log's name in a sweep's directory."""

K = TypeVar("K")
V = TypeVar("V")


class ReplayError(ValueError):
    """A line is no event, or none that can come here."""


@dataclass
class Replay:
    """What the events so far come to.

    Attributes:
        runs: by name, in the order in which they were proposed.
        cells: by name.
        refused: by cell and number of the trial.
    """

    runs: dict[str, LoggedRun] = field(default_factory=dict)
    cells: dict[str, LoggedCell] = field(default_factory=dict)
    refused: dict[tuple[str, int], Refusal] = field(default_factory=dict)

    def learn(self, event: Mapping[str, Any]) -> bool:
        """Takes the next event; returns whether it is news, that is, changes anything.

        Raises:
            ReplayError: if it lacks a fact, is of no known kind, or is about a run that was never proposed.
        """
        try:
            return self._learn(event)
        except KeyError as error:
            raise ReplayError(f"{event.get('event')}: has no {error.args[0]}") from None

    def counts(self, cell: str, *, phase: str) -> dict[str, int]:
        """How many of a cell's runs ended in each state; a refused trial is a failed one.

        Confirm runs are those of the values that are confirmed now: others were the best before there were
        more trials.
        """
        chosen = self.cells.get(cell, LoggedCell()).confirmed
        states = Counter(
            run.state
            for run in self.runs.values()
            if (run.cell, run.phase) == (cell, phase)
            and run.state in STATES
            and run.state != "running"
            and (phase == "search" or (chosen is not None and run.tuned == chosen.tuned))
        )
        if phase == "search" and (refused := sum(each == cell for each, _ in self.refused)):
            states["failed"] += refused
        return dict(states)

    def in_state(self, *states: str) -> list[LoggedRun]:
        """The runs that are in one of these states."""
        return [run for run in self.runs.values() if run.state in states]

    def _learn(self, event: Mapping[str, Any]) -> bool:
        match event["event"]:
            case "refused":
                found = Refusal(
                    **{name: event[name] for name in ("cell", "trial", "tuned", "reason")}
                )
                return _put(self.refused, (found.cell, found.trial), found)
            case "planned" | "given up" | "unconfirmed" | "confirmed":
                return self._put_cell(event["cell"], event)
            case "proposed":
                run = self.runs.get(event["run"]) or _proposed(event)
                begun = replace(run, state="running", reason=None, value=None)
                news = _put(self.runs, run.name, begun)
                # A search that goes on after all has not chosen yet.
                return (run.phase == "search" and self._put_cell(run.cell, event)) or news
            case _:
                return self._learn_of_run(event)

    def _learn_of_run(self, event: Mapping[str, Any]) -> bool:
        run = self.runs.get(event["run"])
        if run is None:
            raise ReplayError(f"{event['event']}: the run {event['run']} was never proposed")
        news = _put(self.runs, run.name, _run_after(run, event))
        if event["event"] == "retried":
            # What a cell confirms does not hang on its audits.
            phase = run.phase if run.audited is None else "audit"
            self._put_cell(run.cell, {"event": "retried", "phase": phase})
        return news

    def _put_cell(self, name: str, event: Mapping[str, Any]) -> bool:
        return _put(self.cells, name, _cell_after(self.cells.get(name, LoggedCell()), event))


def replay(lines: Iterable[str | bytes]) -> Replay:
    """What a log's lines come to.

    Raises:
        ReplayError: with the number of the first line that is wrong.
    """
    found = Replay()
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line)
            if not isinstance(event, dict):
                raise ReplayError("is no event")
            found.learn(event)
        except ValueError as error:
            raise ReplayError(f"line {number}: {error}") from None
    return found


def read_replay(path: Path) -> Replay | None:
    """What a log comes to; None if there is none. A last line that is still being written is left out.

    Raises:
        FileError: if a line of it is wrong.
    """
    if not path.exists():
        return None
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return replayed(whole.splitlines(), path=path)


def replayed(lines: Iterable[str | bytes], *, path: Path) -> Replay:
    """As `replay`, of a file's lines.

    Raises:
        FileError: if a line is wrong.
    """
    try:
        return replay(lines)
    except ReplayError as error:
        raise FileError(
            f"{path}: {error}; move the file away, and the next sitting makes it anew from the runs"
        ) from None


def _put(known: dict[K, V], key: K, value: V) -> bool:
    news = known.get(key) != value
    known[key] = value
    return news


def _proposed(event: Mapping[str, Any]) -> LoggedRun:
    return LoggedRun(
        name=event["run"],
        cell=event["cell"],
        phase=event["phase"],
        trial=event["trial"],
        tuned=event["tuned"],
        seed=event["seed"],
    )


def _run_after(run: LoggedRun, event: Mapping[str, Any]) -> LoggedRun:
    stop = None if run.audited is None else run.stop
    again = {"state": "running", "reason": None, "value": None, "stop": stop}
    changes: dict[str, Any]
    match event["event"]:
        case "resumed":
            changes = {"state": "running", "resumed": run.resumed + 1}
        case "rests":
            changes = {"state": "resting", "rung": event["epoch"]}
        case "promoted":
            changes = {"state": "running", "rung": event["epoch"]}
        case "stopped":
            changes = {"stop": event["reason"]}
        case "audited":
            state = "running" if run.state == "resting" else run.state
            changes = {"state": state, "audited": event["epoch"], "stop": event["reason"]}
        case "ended":
            changes = {name: event[name] for name in ("state", "reason", "value")}
        case "retried":
            ended = RunEnd(event["state"], event["reason"])
            changes = {**again, "retried": (*run.retried, ended)}
        case "dropped":
            changes = {"state": "dropped", "reason": event["reason"]}
        case kind:
            raise ReplayError(f"{kind}: there is no such event")
    return replace(run, **changes)


def _cell_after(cell: LoggedCell, event: Mapping[str, Any]) -> LoggedCell:
    match event["event"]:
        case "planned":
            more = cell.trials is not None and event["trials"] != cell.trials
            planned = replace(cell, trials=event["trials"], seeds=event["seeds"])
            return _reopened(planned) if more else planned
        case "proposed":
            return _reopened(cell)
        case "retried":
            again = replace(cell, given_up=None, unconfirmed=None)
            return _reopened(again) if event["phase"] == "search" else again
        case "given up":
            return replace(cell, given_up=event["reason"], unconfirmed=event["reason"])
        case "unconfirmed":
            return replace(cell, unconfirmed=event["reason"], confirmed=None)
        case "confirmed":
            names = ("trial", "tuned", "value", "seeds", "reason")
            chosen = ChosenTrial(**{name: event[name] for name in names})
            return replace(cell, confirmed=chosen, unconfirmed=cell.given_up)
        case kind:
            raise ReplayError(f"{kind}: there is no such event")


def _reopened(cell: LoggedCell) -> LoggedCell:
    """A cell whose search is not over any more: what it confirms is open again."""
    return replace(cell, confirmed=None, unconfirmed=cell.given_up)
