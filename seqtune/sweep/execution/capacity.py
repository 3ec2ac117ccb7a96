"""How much room a cluster has, from what its nodes have and what the open runs ask for. Knows no Ray.

Nodes come and go while a sweep runs, so they are asked for again and again.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from seqtune.config.errors import Path, Problem
from seqtune.sweep.planning.resource_request import ResourceRequest

Node: TypeAlias = Mapping[str, float]
"""What a node has, by Ray's names."""

NODES_SECONDS = 2.0
"""How old what is known of the nodes may be."""
PATIENCE_SECONDS = 300.0
"""How long runs wait for a node that can hold them, where it was there and is gone: a restart takes minutes."""
_EPSILON = 1e-6


class CapacityError(ValueError):
    """No node can hold a run that the sweep has; `problem` says so at its place in the file."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Capacity:
    """Whether another run can begin."""

    def __init__(
        self,
        nodes: Callable[[], Sequence[Node]],
        *,
        kinds: Mapping[ResourceRequest, Mapping[str, Path]],
        wait_seconds: float | None,
    ) -> None:
        """Asks for the nodes.

        Args:
            nodes: asks the cluster for what each of its nodes has.
            kinds: what runs ask for, with the place in the file of each amount.
            wait_seconds: how long a run may wait for a node that can hold it; None where nodes do not
                come by being asked for.

        Raises:
            NoRoomError: if no node can hold a run of some kind, and none is waited for.
        """
        self._ask_nodes = nodes
        self._kinds = dict(kinds)
        self._wait_seconds = wait_seconds
        self._asked = -NODES_SECONDS
        self._nodes: Sequence[Node] = ()
        self._missing_since: float | None = None
        if wait_seconds is None:
            for kind in kinds:
                if not _held(kind, self._known()):
                    raise CapacityError(self._problem(kind))

    def left(self, held: Collection[ResourceRequest]) -> bool:
        """Whether there is room for one more run beside those that hold something already.

        A run that has no place yet waits for one, and no other overtakes it. One is begun in any case:
        a cluster that grows does so for runs that wait, and is asked for as much again as it holds.
        """
        if not held:
            return True
        spare, unplaced = _packed(held, self._known())
        if self._wait_seconds is not None:
            return unplaced < max(1, len(held) - unplaced)
        return unplaced == 0 and any(_held(kind, spare) for kind in self._kinds)

    def check(self, held: Iterable[ResourceRequest]) -> None:
        """Looks whether open runs can still be held.

        Raises:
            NoRoomError: if there has been no node for one of them for too long.
        """
        lost = next((each for each in set(held) if not _held(each, self._known())), None)
        now = time.monotonic()
        if lost is None:
            self._missing_since = None
            return
        if self._missing_since is None:
            self._missing_since = now
        patience = PATIENCE_SECONDS if self._wait_seconds is None else self._wait_seconds
        if now - self._missing_since >= patience:
            raise CapacityError(self._problem(lost, waited=patience))

    def add(self, kind: ResourceRequest, *, origins: Mapping[str, Path]) -> None:
        """Makes another kind of run known."""
        self._kinds.setdefault(kind, origins)

    def _known(self) -> Sequence[Node]:
        now = time.monotonic()
        if now - self._asked >= NODES_SECONDS:
            self._nodes = self._ask_nodes()
            self._asked = now
        return self._nodes

    def _problem(self, kind: ResourceRequest, *, waited: float | None = None) -> Problem:
        nodes, origins = self._known(), self._kinds[kind]
        most = {
            name: max((node.get(name, 0) for node in nodes), default=0) for name in kind.bundle()
        }
        short = [name for name, amount in kind.bundle().items() if amount > most[name] + _EPSILON]
        path = origins[_FIELDS[short[0].partition(":")[0]]] if short else ("resources",)
        have = "; ".join(f"{name} {most:g}" for name, most in most.items())
        since = "" if waited is None else f" and none has come in {waited:g} s"
        return Problem(
            path,
            f"no node can hold a run of {kind}{since}; the most that any of {len(nodes)} nodes has is {have}; "
            "ask for less, or give the --address of a cluster that has it",
        )


_FIELDS = {"CPU": "cpu", "GPU": "gpu", "memory": "memory", "accelerator_type": "accelerator"}


def _held(kind: ResourceRequest, nodes: Iterable[Node]) -> bool:
    return any(_fits(kind, node) for node in nodes)


def _fits(kind: ResourceRequest, node: Node) -> bool:
    return all(node.get(name, 0) + _EPSILON >= amount for name, amount in kind.bundle().items())


def _packed(
    held: Iterable[ResourceRequest], nodes: Iterable[Node]
) -> tuple[list[dict[str, float]], int]:
    """What is left of the nodes once every run has its place, and how many found none.

    The largest first, each on the first node that has room; Ray may place them otherwise.
    """
    spare = [dict(node) for node in nodes]
    unplaced = 0
    for each in sorted(held, key=lambda request: sorted(request.bundle().items()), reverse=True):
        place = next((node for node in spare if _fits(each, node)), None)
        if place is None:
            unplaced += 1
            continue
        for name, amount in each.bundle().items():
            place[name] -= amount
    return spare, unplaced
