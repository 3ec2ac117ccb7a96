"""Runs that are laid aside at a rung of their cell's ladder."""

from seqtune.sweep.promotion import Standing
from seqtune.sweep.search import CellSearch, Proposal


class Resting:
    """Of all cells."""

    def __init__(self) -> None:
        self._proposals: dict[tuple[str, int], Proposal] = {}

    def lay_aside(self, proposal: Proposal) -> None:
        """Takes a run whose worker has let go of it."""
        self._proposals[proposal.cell.name, proposal.number] = proposal

    def promoted(self, search: CellSearch, *, last_call: bool) -> tuple[Proposal, Standing] | None:
        """Gives out the cell's run that goes on now, and how it stands at its rung; None if all wait.

        Args:
            search: of the cell.
            last_call: whether no run of the cell is on its way, and none will begin.
        """
        ladder = search.ladder
        number = None if ladder is None else ladder.next_promoted(last_call=last_call)
        # One that was just told to rest is still with its worker.
        if ladder is None or number is None or (search.cell.name, number) not in self._proposals:
            return None
        standing = ladder.standing(number, rung=ladder.resting[number])
        ladder.leave(number)
        return self._proposals.pop((search.cell.name, number)), standing

    def dismissed(self, search: CellSearch) -> list[Proposal]:
        """Gives out all that rest in a cell: none of them will go on."""
        keys = [key for key in self._proposals if key[0] == search.cell.name]
        return [self._proposals.pop(key) for key in keys]
