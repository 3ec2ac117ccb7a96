"""How long a sweep still takes, by what its runs have measured so far. Knows neither Ray nor Optuna.

What is left is counted in epochs and priced at the seconds an epoch of the cell's own runs. It is shared out
over as many runs as go on at once, but a run is done by one worker alone, and what is confirmed has to be found
first: whichever of the two takes longer is the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class RunPace:
    """How far a run has come.

    Attributes:
        epochs: after which it ends by itself.
        epoch: after which it was measured last; 0 before the first time.
        seconds: that those epochs took, over all its sittings.
        stoppable: whether it may be stopped before: a search trial that is no audit.
        under_way: whether a worker has it; else it has ended, or rests.
    """

    epochs: int
    epoch: int
    seconds: float
    stoppable: bool
    under_way: bool


@dataclass(frozen=True)
class CellWork:
    """What a cell's runs have done, and what is still to be begun.

    Attributes:
        epochs: of a run that goes on to its last one.
        runs: those that have begun.
        trials: search trials to begin; `confirms` are confirm runs.
        resting: trials that may be promoted, nobody knows which.
    """

    epochs: int
    runs: Sequence[RunPace]
    trials: int
    confirms: int
    resting: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing of the cell is left."""
        waits = self.trials + self.confirms + self.resting
        return waits == 0 and not any(run.under_way for run in self.runs)

    @property
    def epoch_seconds(self) -> float | None:
        """Of an epoch, on the average of all that were measured; None before the first."""
        done = sum(run.epoch for run in self.runs)
        return sum(run.seconds for run in self.runs) / done if done else None

    def trial_epochs(self, *, after: int, epochs: int) -> float:
        """What a trial that has come so far will probably still run.

        As many as those that came further did, and to its last one where none has.

        Args:
            after: epochs that it has run.
            epochs: after which it ends if it is not stopped.
        """
        ended = (run.epoch for run in self.runs if run.stoppable and not run.under_way)
        longer = [epoch - after for epoch in ended if epoch > after]
        return min(fmean(longer), epochs - after) if longer else epochs - after


@dataclass(frozen=True)
class TimeLeft:
    """Seconds that something still takes; `at_least` where some of it is not known."""

    seconds: float
    at_least: bool = False

    def __str__(self) -> str:
        if self.seconds == 0 and not self.at_least:
            return "done"
        return f"{'at least' if self.at_least else 'about'} {duration(self.seconds)}"


@dataclass(frozen=True)
class _Bill:
    """What is left of a cell, in seconds of one worker.

    Attributes:
        work: all of it.
        chain: what cannot be done at once: the longest trial, and then a confirm run.
    """

    work: float
    chain: float

    def seconds(self, at_once: int) -> float:
        return max(self.work / max(1, at_once), self.chain)


def time_left(
    cells: Mapping[str, CellWork], *, at_once: int, beside: float
) -> tuple[dict[str, TimeLeft], TimeLeft] | None:
    """What every cell still takes, if all workers were its own from when it has them, and the whole sweep.

    A cell that has measured nothing is taken to be as fast as the others are on the average: "at least", since
    nothing is known of it.

    Args:
        cells: by name.
        at_once: runs that go on at the same time.
        beside: seconds that a run costs its worker beside its epochs.

    Returns:
        The cells' and the sweep's; None where something is left and nothing was measured.
    """
    known = [pace for each in cells.values() if (pace := each.epoch_seconds) is not None]
    if not known and not all(work.over for work in cells.values()):
        return None
    mean = fmean(known) if known else 0.0
    bills = {name: _bill(work, mean=mean, beside=beside) for name, work in cells.items()}
    unsure = {
        name: not work.over and (work.epoch_seconds is None or work.resting > 0)
        for name, work in cells.items()
    }
    left = {name: TimeLeft(bill.seconds(at_once), unsure[name]) for name, bill in bills.items()}
    whole = _Bill(
        work=sum(bill.work for bill in bills.values()),
        chain=max((bill.chain for bill in bills.values()), default=0.0),
    )
    return left, TimeLeft(whole.seconds(at_once), any(unsure.values()))


def _bill(work: CellWork, *, mean: float, beside: float) -> _Bill:
    pace = work.epoch_seconds
    pace = mean if pace is None else pace
    trial = work.trial_epochs(after=0, epochs=work.epochs) * pace + beside
    confirm = work.epochs * pace + beside
    searching, completing = (
        [
            pace * _epochs_left(run, work=work)
            for run in work.runs
            if run.under_way and run.stoppable is stoppable
        ]
        for stoppable in (True, False)
    )
    search = max(0.0, *searching, trial if work.trials else 0.0)
    return _Bill(
        work=sum(searching) + sum(completing) + work.trials * trial + work.confirms * confirm,
        chain=max(search + (confirm if work.confirms else 0.0), *completing, 0.0),
    )


def _epochs_left(run: RunPace, *, work: CellWork) -> float:
    if run.stoppable:
        return work.trial_epochs(after=run.epoch, epochs=run.epochs)
    return run.epochs - run.epoch


def duration(seconds: float) -> str:
    """A time as people say it, in two digits or more: `48 s`, `12 min`, `3.5 h`, `300 d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{_two_digits(seconds / length)} {unit}"
    return f"{_two_digits(seconds)} s"


def _two_digits(number: float) -> str:
    """Without an exponent: 0.0042, 4.2, 42, 420."""
    return f"{number:.0f}" if number >= 9.95 else f"{number:.2g}"
