"""Runs that are laid aside at a rung of their cell's ladder."""

from collections.abc import Mapping

from seqtune.sweep.search.cell_progress import CellProgress
from seqtune.sweep.search.cell_search import CellSearch
from seqtune.sweep.search.decisions import Decisions
from seqtune.sweep.search.promotion import Ladder, Standing
from seqtune.sweep.search.proposal import Proposal


class PausedRuns:
    """Of all cells."""

    def __init__(self, *, progress: Mapping[str, CellProgress], decisions: Decisions) -> None:
        """Opens an empty one.

        Args:
            progress: of each cell, by its name, where they are counted.
            decisions: the log.
        """
        self._progress = progress
        self._decisions = decisions
        self._proposals: dict[tuple[str, int], Proposal] = {}

    def rests(self, proposal: Proposal, *, ladder: Ladder, epoch: int, value: float) -> bool:
        """Notes a measurement of a run that is on its way; whether its worker has to let go of it now."""
        if ladder.rests(proposal.number, epoch=epoch, value=value):
            return True
        if epoch in ladder.rungs:
            standing = ladder.standing(proposal.number, rung=epoch)
            self._decisions.promoted(proposal, standing, last_call=False)
        return False

    def lay_aside(self, proposal: Proposal, *, search: CellSearch) -> None:
        """Takes a run whose worker has let go of it."""
        assert search.ladder is not None, "a run rests only where others are promoted"
        self._proposals[proposal.cell.name, proposal.number] = proposal
        self._progress[proposal.cell.name].resting += 1
        self._decisions.rests(proposal, _standing(proposal, ladder=search.ladder))

    def promoted(self, search: CellSearch, *, last_call: bool) -> Proposal | None:
        """Gives out the cell's run that goes on now; None if all wait.

        Args:
            search: of the cell.
            last_call: whether no run of the cell is on its way, and none will begin.
        """
        ladder = search.ladder
        number = None if ladder is None else ladder.next_promoted(last_call=last_call)
        # One that was just told to rest is still with its worker.
        if ladder is None or number is None or (search.cell.name, number) not in self._proposals:
            return None
        proposal = self._proposals[search.cell.name, number]
        standing = self._leave(proposal, ladder=ladder)
        self._decisions.promoted(proposal, standing, last_call=last_call)
        return proposal

    def dismissed(self, search: CellSearch) -> list[tuple[Proposal, Standing]]:
        """Gives out all that rest in a cell, and how they stand: none of them will be promoted."""
        ladder = search.ladder
        if ladder is None:
            return []
        mine = [each for key, each in self._proposals.items() if key[0] == search.cell.name]
        return [(proposal, self._leave(proposal, ladder=ladder)) for proposal in mine]

    def _leave(self, proposal: Proposal, *, ladder: Ladder) -> Standing:
        standing = _standing(proposal, ladder=ladder)
        del self._proposals[proposal.cell.name, proposal.number]
        self._progress[proposal.cell.name].resting -= 1
        ladder.leave(proposal.number)
        return standing


def _standing(proposal: Proposal, *, ladder: Ladder) -> Standing:
    return ladder.standing(proposal.number, rung=ladder.resting[proposal.number])
