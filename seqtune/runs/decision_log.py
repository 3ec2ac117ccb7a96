"""What the log of a sweep comes to, as records: its runs, its cells, the trials that were refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunEnd:
    """How a run ended before it was done again."""

    state: str
    reason: str | None


@dataclass(frozen=True)
class LoggedRun:
    """A run, as far as the log has come.

    Attributes:
        phase: `search` or `confirm`.
        trial: its number in the cell's phase.
        tuned: values by path.
        state: as in run.json, or `resting` (laid aside at a rung) or `dropped` (it never began).
        reason: why it ended so, or was dropped.
        value: the sweep's metric after its last epoch; None if it was not measured, or not finite.
        rung: epoch of the last rung that it came to, where runs are promoted.
        stop: why it was told to stop, if it was.
        audited: the epoch after which it was stopped, if it goes on all the same, as an audit.
        resumed: how many sittings took it up again.
        retried: its earlier ends.
    """

    name: str
    cell: str
    phase: str
    trial: int
    tuned: Mapping[str, Any]
    seed: int
    state: str = "running"
    reason: str | None = None
    value: float | None = None
    rung: int | None = None
    stop: str | None = None
    audited: int | None = None
    resumed: int = 0
    retried: tuple[RunEnd, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A search trial whose values cannot be combined."""

    cell: str
    trial: int
    tuned: Mapping[str, Any]
    reason: str


@dataclass(frozen=True)
class ChosenTrial:
    """What a cell confirms.

    Attributes:
        trial: whose values they are; None where nothing is tuned.
        value: the sweep's metric at the end of that trial.
        seeds: how many fresh ones they get.
        reason: why these.
    """

    trial: int | None
    tuned: Mapping[str, Any]
    value: float | None
    seeds: int
    reason: str


@dataclass(frozen=True)
class LoggedCell:
    """A cell, as far as the log has come.

    Attributes:
        trials: search trials that it is to have; `seeds` confirm runs likewise. None before `planned`.
        given_up: why no more of its runs are begun, if so.
        unconfirmed: why there is nothing to confirm, if so.
        confirmed: what is confirmed, once its search is over.
    """

    trials: int | None = None
    seeds: int | None = None
    given_up: str | None = None
    unconfirmed: str | None = None
    confirmed: ChosenTrial | None = None
