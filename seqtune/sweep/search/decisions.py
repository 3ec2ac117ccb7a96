"""decisions.jsonl, written: what a sweep proposed, stopped, confirmed and gave up, and why. A line an event.

The events are those of the table in `seqtune.runs.replay`. The log is a follower of the run directories: what a
killed driver did not come to write, or a log that was lost, is caught up with at the next start.
"""

import json
import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqtune.runs.decision_log import ChosenTrial
from seqtune.runs.replay import replayed
from seqtune.sweep.search.promotion import Standing

if TYPE_CHECKING:
    from seqtune.sweep.planning.plan import Cell
    from seqtune.sweep.search.proposal import Proposal

log = logging.getLogger(__name__)


class Decisions:
    """The log of one sweep; its driver alone writes it.

    Attributes:
        known: what all events so far come to.
    """

    def __init__(self, path: Path) -> None:
        """Reads what earlier sittings wrote; half a line that a killed driver left is taken off.

        Raises:
            FileError: if a line is wrong.
        """
        self._path = path
        self.known = replayed(whole_lines(path), path=path)

    def add(self, event: str, **facts: Any) -> bool:
        """Writes an event down if it is news; returns whether it is.

        Raises:
            OSError: if it cannot be written, with the file's name; then nothing of it is there.
        """
        # As it will be read: a tuple as a list, so that what is known does not depend on who learnt it.
        told = json.loads(json.dumps({"event": event, **{k: _json(v) for k, v in facts.items()}}))
        if not self.known.learn(told):
            return False
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        _append(self._path, json.dumps({"time": now, **told}) + "\n")
        return True

    def planned(self, cell: "Cell", *, seeds: int) -> None:
        """How many runs a cell is to have."""
        self.add("planned", cell=cell.name, trials=cell.trials, seeds=seeds)

    def proposed(self, proposal: "Proposal", *, sampler: str | None) -> None:
        """A run begins; `sampler` drew its values, unless it confirms those of another."""
        number = proposal.number
        chosen = self._chosen(proposal.cell)
        if proposal.phase == "search":
            reason = f"point {number} of the grid" if sampler == "grid" else f"drawn by {sampler}"
        elif chosen is None or chosen.trial is None:
            reason = "nothing is tuned"
        else:
            reason = f"confirms the values of trial {chosen.trial}"
        self._note(
            "proposed",
            proposal,
            trial=number,
            tuned=dict(proposal.tuned),
            seed=proposal.spec.seed,
            reason=reason,
        )

    def refused(self, cell: "Cell", *, trial: int, tuned: Mapping[str, Any], why: object) -> None:
        """A trial cannot be run."""
        reason = str(why)
        if self.add("refused", cell=cell.name, trial=trial, tuned=dict(tuned), reason=reason):
            log.warning("%s: trial %d cannot be run: %s", cell.name, trial, reason)

    def resumed(self, proposal: "Proposal", *, epoch: int) -> None:
        """A run goes on after an epoch, 0 for one that begins anew."""
        self._note("resumed", proposal, epoch=epoch)

    def rests(self, proposal: "Proposal", standing: Standing) -> None:
        """A run is laid aside at a rung."""
        self._judged("rests", proposal, standing)

    def promoted(self, proposal: "Proposal", standing: Standing, *, last_call: bool) -> None:
        """A run passes a rung; at the last call the best one does, however few they are."""
        why = {"why": "none else is on its way"} if last_call else {}
        self._judged("promoted", proposal, standing, **why)

    def stopped(self, proposal: "Proposal", standing: Standing, *, by: str) -> None:
        """A run is told to stop, by a pruner of this kind."""
        self._judged("stopped", proposal, standing, by=by)

    def audited(self, proposal: "Proposal", standing: Standing, *, by: str) -> None:
        """A run is stopped by a pruner of this kind, and goes on as an audit."""
        self._judged("audited", proposal, standing, by=by)

    def audited_before(self, proposal: "Proposal", *, epoch: int) -> None:
        """A run that an earlier sitting audits; if the log does not say so, that was lost."""
        known = self.known.runs.get(proposal.name)
        if known is not None and known.audited is None:
            self._note("audited", proposal, epoch=epoch, reason="found in its study")

    def ended(self, proposal: "Proposal", info: Mapping[str, Any], *, value: float | None) -> None:
        """A run has ended, by its run.json, with the metric's last value."""
        self._note("ended", proposal, state=info["state"], reason=info["reason"], value=value)

    def dropped(self, run: str, *, reason: str) -> None:
        """A run that never began will not; nothing to tell if no sitting came to propose it."""
        of = self.known.runs.get(run)
        if of is not None:
            self.add("dropped", cell=of.cell, run=run, phase=of.phase, reason=reason)

    def given_up(self, cell: "Cell", *, reason: str) -> None:
        """No more runs of a cell are begun."""
        self.add("given up", cell=cell.name, reason=reason)

    def unconfirmed(self, cell: "Cell", *, reason: str) -> None:
        """A cell has nothing to confirm."""
        self.add("unconfirmed", cell=cell.name, reason=reason)

    def confirmed(self, cell: "Cell", chosen: ChosenTrial) -> None:
        """A cell's search is over, and this is what came of it."""
        facts = {name: getattr(chosen, name) for name in ("trial", "value", "seeds", "reason")}
        self.add("confirmed", cell=cell.name, tuned=dict(chosen.tuned), **facts)

    def given_up_for(self, cell: "Cell") -> str | None:
        """Why a cell was given up, if it was and nothing of it is done again."""
        known = self.known.cells.get(cell.name)
        return known.given_up if known is not None else None

    def knows(self, run: str, info: Mapping[str, Any]) -> bool:
        """Whether the log has come as far as a run's run.json."""
        known = self.known.runs.get(run)
        resting = known is not None and known.state == "resting" and info["state"] == "running"
        return known is not None and (resting or known.state == info["state"])

    def catch_up(self, run: str, info: Mapping[str, Any], *, value: float | None) -> None:
        """Adds what the log does not know of a run that has a directory.

        Args:
            run: its name.
            info: its run.json.
            value: the metric's last value.
        """
        place = info["sweep"]
        about = {"cell": place["cell"], "run": run, "phase": place["phase"]}
        known = self.known.runs.get(run)
        if known is None or known.state == "dropped":
            facts = {"trial": place["trial"], "tuned": place["tuned"], "seed": info["spec"]["seed"]}
            self.add("proposed", **about, **facts, reason="found in its directory")
        elif info["state"] == "running":
            self.add("retried", **about, state=known.state, reason=known.reason)
        if info["state"] != "running":
            self.add("ended", **about, state=info["state"], reason=info["reason"], value=value)

    def moved_on(self, proposal: "Proposal") -> None:
        """A run that is on its way; if the log has it at rest, what promoted it was lost."""
        known = self.known.runs.get(proposal.name)
        if known is not None and known.state == "resting":
            self._note(
                "promoted", proposal, epoch=known.rung, reason="it was found beyond its rung"
            )

    def retried(self, run: str, info: Mapping[str, Any]) -> None:
        """A run is done again that ended as its run.json says."""
        of = self.known.runs[run]
        about = {"cell": of.cell, "run": run, "phase": of.phase}
        self.add("retried", **about, state=info["state"], reason=info["reason"])

    def _chosen(self, cell: "Cell") -> ChosenTrial | None:
        known = self.known.cells.get(cell.name)
        return known.confirmed if known is not None else None

    def _judged(self, event: str, proposal: "Proposal", standing: Standing, **facts: Any) -> None:
        about = {"epoch": standing.epoch, "value": standing.value, "rung": standing.rung}
        place = {"rank": standing.rank, "measured": standing.among, "reason": str(standing)}
        self._note(event, proposal, **about, **place, **facts)

    def _note(self, event: str, proposal: "Proposal", **facts: Any) -> None:
        about = {"cell": proposal.cell.name, "run": proposal.name, "phase": proposal.phase}
        self.add(event, **about, **facts)


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


def _json(value: Any) -> Any:
    """JSON has no number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _append(path: Path, line: str) -> None:
    """Appends a line, or nothing of it."""
    with path.open("ab", buffering=0) as file:
        before, rest = file.tell(), line.encode()
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            # What was there before had room, so to be as long again takes none.
            file.truncate(before)
            raise OSError(error.errno, error.strerror, str(path)) from error
