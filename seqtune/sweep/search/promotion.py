"""Successive halving by promotion: a run rests at its rung until it is among the best that came so far.

Beside the stopping form, in which the first runs to come to a rung pass it whatever they are worth, here
none passes before it is one of the best 1 / reduction_factor of all that reached the rung; and a run that
rests may still go on when others have turned out worse. Knows neither Optuna nor run directories.

Source: Li et al. 2018, arXiv 1810.05934, algorithm 2 (ASHA).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqtune.sweep.planning.spec import AshaSpec


def rungs(*, grace: int, reduction_factor: int, epochs: int) -> list[int]:
    """Epochs after which runs are compared, those before the last epoch: grace * reduction_factor^k."""
    found = [grace]
    while found[-1] * reduction_factor < epochs:
        found.append(found[-1] * reduction_factor)
    return [epoch for epoch in found if epoch < epochs]


@dataclass(frozen=True)
class Standing:
    """Which place a run's value takes among all that were measured after the same epoch.

    Attributes:
        rank: 1 is the best.
        among: how many there are, the run itself included.
        rung: the number of the last rung that it has come to, the first being 0; None where there are none.
    """

    epoch: int
    value: float
    rank: int
    among: int
    rung: int | None

    def __str__(self) -> str:
        at = (
            f"after epoch {self.epoch}"
            if self.rung is None
            else f"at rung {self.rung} (epoch {self.epoch})"
        )
        return f"rank {self.rank} of {self.among} {at}"


@dataclass
class Ladder:
    """How far the runs of a cell have come.

    Attributes:
        rungs: epochs of the rungs, ascending.
        reduction_factor: one in so many goes on.
        higher: whether a higher value is better.
        reached: by rung, by number of the run, its value there.
        resting: by number of the run, the rung that it rests at.
    """

    rungs: list[int]
    reduction_factor: int
    higher: bool
    reached: dict[int, dict[int, float]] = field(default_factory=dict)
    resting: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, pruner: AshaSpec, *, epochs: int, higher: bool) -> "Ladder":
        """The ladder of a search whose runs are so many epochs long."""
        found = rungs(grace=pruner.grace, reduction_factor=pruner.reduction_factor, epochs=epochs)
        return cls(found, pruner.reduction_factor, higher)

    def arrive(self, number: int, *, values: Mapping[int, float]) -> None:
        """Notes a run's values by epoch; it is on its way until it is said to rest."""
        for rung in self.rungs:
            if rung in values:
                self.reached.setdefault(rung, {})[number] = values[rung]
        self.resting.pop(number, None)

    def rests(self, number: int, *, epoch: int, value: float) -> bool:
        """Notes a measurement of a run that is on its way; whether it has to rest now.

        At a rung it rests, unless it is the very one that would go on next.
        """
        if epoch not in self.rungs:
            return False
        self.arrive(number, values={epoch: value})
        self.rest(number, rung=epoch)
        if self.next_promoted(last_call=False) != number:
            return True
        self.leave(number)
        return False

    def rest(self, number: int, *, rung: int) -> None:
        """Notes that a run rests at a rung that it has reached."""
        assert number in self.reached[rung], "a run rests only where it was measured"
        self.resting[number] = rung

    def leave(self, number: int) -> None:
        """Notes that a run goes on, or has ended; what it reached still counts."""
        self.resting.pop(number, None)

    def standing(self, number: int, *, rung: int) -> Standing:
        """Which place a run takes among all that reached a rung, as it did."""
        ranked = self._ranked(rung)
        return Standing(
            epoch=rung,
            value=self.reached[rung][number],
            rank=ranked.index(number) + 1,
            among=len(ranked),
            rung=self.rungs.index(rung),
        )

    def next_promoted(self, *, last_call: bool) -> int | None:
        """The run that goes on now, of the highest rung where there is one; None if all have to wait.

        Args:
            last_call: whether no run is on its way and none will begin. Then the best of the highest
                rung where any rest goes on even if they are fewer than `reduction_factor`, so that a
                search of few trials still has a winner.
        """
        for rung in reversed(self.rungs):
            best = self._best(rung)
            promoted = [number for number in best if self.resting.get(number) == rung]
            if promoted:
                return promoted[0]
        if not last_call or not self.resting:
            return None
        top = max(self.resting.values())
        ranked = self._ranked(top)
        # Whoever is ahead of it there has gone on already, and carries the search to its end.
        return ranked[0] if self.resting.get(ranked[0]) == top else None

    def _best(self, rung: int) -> list[int]:
        ranked = self._ranked(rung)
        return ranked[: len(ranked) // self.reduction_factor]

    def _ranked(self, rung: int) -> list[int]:
        """Numbers of the runs that reached a rung, the best first; equals in the order of their numbers."""
        values = self.reached.get(rung, {})
        sign = -1 if self.higher else 1
        return sorted(values, key=lambda number: (sign * values[number], number))
