"""Successive halving by promotion: a run pauses at a rung until it is among the best there.

In the stopping variant the first runs to reach a rung pass it whatever their value. Here a run
passes only once it is one of the best 1 / reduction_factor of all that reached the rung, and a
paused run may still be promoted when later ones turn out worse.

Source: Li et al. 2018, arXiv 1810.05934, algorithm 2 (ASHA).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqtune.sweep.planning.search_spec import AshaSpec
from seqtune.sweep.search.cell_progress import CellProgress
from seqtune.sweep.search.decisions import Decisions
from seqtune.sweep.search.proposal import Proposal, Standing


def rungs(*, grace_period: int, reduction_factor: int, epochs: int) -> list[int]:
    """Return the epochs of the rungs before the last epoch: grace_period * reduction_factor^k."""
    found = [grace_period]
    while found[-1] * reduction_factor < epochs:
        found.append(found[-1] * reduction_factor)
    return [epoch for epoch in found if epoch < epochs]


@dataclass
class Ladder:
    """The rungs of a cell, and which of its runs reached them.

    Attributes:
        rungs: epochs of the rungs, ascending.
        reduction_factor: one in so many is promoted.
        higher: whether a higher value is better.
        reached: by rung, by number of the run, its value there.
        paused: by number of the run, the rung where it is paused.
    """

    rungs: list[int]
    reduction_factor: int
    higher: bool
    reached: dict[int, dict[int, float]] = field(default_factory=dict)
    paused: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, pruner: AshaSpec, *, epochs: int, higher: bool) -> "Ladder":
        """Return the ladder of a search whose runs have so many epochs."""
        found = rungs(
            grace_period=pruner.grace_period,
            reduction_factor=pruner.reduction_factor,
            epochs=epochs,
        )
        return cls(found, pruner.reduction_factor, higher)

    def add_values(self, number: int, *, values: Mapping[int, float]) -> None:
        """Record a run's values by epoch; the run counts as training."""
        for rung in self.rungs:
            if rung in values:
                self.reached.setdefault(rung, {})[number] = values[rung]
        self.paused.pop(number, None)

    def must_pause(self, number: int, *, epoch: int, value: float) -> bool:
        """Record a value of a training run; return whether the run has to pause now.

        At a rung it pauses, unless it is the very run that would be promoted next.
        """
        if epoch not in self.rungs:
            return False
        self.add_values(number, values={epoch: value})
        self.pause(number, rung=epoch)
        if self.next_promoted(last_call=False) != number:
            return True
        self.leave(number)
        return False

    def pause(self, number: int, *, rung: int) -> None:
        """Record that a run is paused at a rung that it has reached."""
        assert number in self.reached[rung], "a run pauses only where it was measured"
        self.paused[number] = rung

    def leave(self, number: int) -> None:
        """Record that a run continues or has ended; the values that it reached still count."""
        self.paused.pop(number, None)

    def standing(self, number: int, *, rung: int) -> Standing:
        """Return the rank of a run among all that reached a rung."""
        ranked = self._ranked(rung)
        return Standing(
            epoch=rung,
            value=self.reached[rung][number],
            rank=ranked.index(number) + 1,
            among=len(ranked),
            rung=self.rungs.index(rung),
        )

    def next_promoted(self, *, last_call: bool) -> int | None:
        """Return the run to promote now, of the highest rung with one; None if all have to wait.

        Args:
            last_call: whether no run is training and none will start. Then the best of the highest
                rung with paused runs is promoted even if they are fewer than `reduction_factor`, so
                that a search of few trials still has a winner.
        """
        for rung in reversed(self.rungs):
            ranked = self._ranked(rung)
            for number in ranked[: len(ranked) // self.reduction_factor]:
                if self.paused.get(number) == rung:
                    return number
        if not last_call or not self.paused:
            return None
        top = max(self.paused.values())
        best = self._ranked(top)[0]
        # A better run has been promoted from there already, and will complete the search.
        return best if self.paused.get(best) == top else None

    def _ranked(self, rung: int) -> list[int]:
        """Numbers of the runs that reached a rung, best first; ties by number."""
        values = self.reached.get(rung, {})
        sign = -1 if self.higher else 1
        return sorted(values, key=lambda number: (sign * values[number], number))


class PausedRuns:
    """Paused runs of all cells; counts them in the cells' progress and logs changes."""

    def __init__(self, *, progress: Mapping[str, CellProgress], decisions: Decisions) -> None:
        self._progress = progress
        self._decisions = decisions
        self._proposals: dict[tuple[str, int], Proposal] = {}

    def must_pause(self, proposal: Proposal, *, ladder: Ladder, epoch: int, value: float) -> bool:
        """Record a measurement of a training run; return whether the run has to pause now."""
        if ladder.must_pause(proposal.number, epoch=epoch, value=value):
            return True
        if epoch in ladder.rungs:
            standing = ladder.standing(proposal.number, rung=epoch)
            self._decisions.write_standing("promoted", proposal, standing)
        return False

    def add(self, proposal: Proposal, *, ladder: Ladder, restored: bool = False) -> None:
        """Add a run whose worker has let go of it; `restored` if an earlier session paused it."""
        self._proposals[proposal.cell.name, proposal.number] = proposal
        self._progress[proposal.cell.name].paused += 1
        if not restored:
            standing = ladder.standing(proposal.number, rung=ladder.paused[proposal.number])
            self._decisions.write_standing("paused", proposal, standing)

    def promote(self, cell: str, *, ladder: Ladder, last_call: bool) -> Proposal | None:
        """Remove and return the cell's run that is promoted now; None if all have to wait.

        Args:
            cell: its name.
            ladder: its ladder.
            last_call: whether no run of the cell is training, and none will start.
        """
        number = ladder.next_promoted(last_call=last_call)
        # A run that has just been paused may still be with its worker.
        if number is None or (cell, number) not in self._proposals:
            return None
        proposal = self._proposals[cell, number]
        standing = self._remove(proposal, ladder=ladder)
        why = {"why": "no other run can be promoted"} if last_call else {}
        self._decisions.write_standing("promoted", proposal, standing, **why)
        return proposal

    def remove_all(self, cell: str, *, ladder: Ladder) -> list[tuple[Proposal, Standing]]:
        """Remove and return the cell's paused runs with their ranks: none will be promoted."""
        mine = [each for (name, _), each in self._proposals.items() if name == cell]
        return [(proposal, self._remove(proposal, ladder=ladder)) for proposal in mine]

    def _remove(self, proposal: Proposal, *, ladder: Ladder) -> Standing:
        standing = ladder.standing(proposal.number, rung=ladder.paused[proposal.number])
        del self._proposals[proposal.cell.name, proposal.number]
        self._progress[proposal.cell.name].paused -= 1
        ladder.leave(proposal.number)
        return standing
