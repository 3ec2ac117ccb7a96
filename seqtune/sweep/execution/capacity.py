"""Free capacity of a cluster: what its nodes have, less what the runs in flight request.

Nodes come and go while a sweep runs, so the cluster is asked for them again and again.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from seqtune.config.errors import Path, Problem
from seqtune.sweep.planning.resources import ResourceRequest

Node: TypeAlias = Mapping[str, float]
"""Resources of a node, by Ray's names."""

NODES_SECONDS = 2.0
"""Age at which the list of nodes is refreshed."""
PATIENCE_SECONDS = 300.0
"""How long runs wait for a node that was lost: a restart takes minutes."""
_EPSILON = 1e-6


class CapacityError(ValueError):
    """No node can hold a run of the sweep; `problem` locates the request in the file."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Capacity:
    """Decides whether another run can start."""

    def __init__(
        self,
        nodes: Callable[[], Sequence[Node]],
        *,
        kinds: Mapping[ResourceRequest, Mapping[str, Path]],
        wait_seconds: float | None,
    ) -> None:
        """Query the nodes.

        Args:
            nodes: returns the resources of each node of the cluster.
            kinds: requests of runs, with the path in the file of each amount.
            wait_seconds: how long a run may wait for a node that can hold it; None if the cluster
                does not add nodes on request.

        Raises:
            CapacityError: if no node can hold a run of some kind, and the cluster does not grow.
        """
        self._ask_nodes = nodes
        self._kinds = dict(kinds)
        self._wait_seconds = wait_seconds
        self._asked = -NODES_SECONDS
        self._nodes: Sequence[Node] = ()
        self._missing_since: float | None = None
        if wait_seconds is None:
            for kind in kinds:
                if not _any_fits(kind, self._known()):
                    raise CapacityError(self._problem(kind))

    def has_room(self, held: Collection[ResourceRequest]) -> bool:
        """Return whether one more run can start beside those that hold resources already.

        No run overtakes one that still waits for its node. On a cluster that grows on request, as
        many runs may wait as are placed: it adds nodes only for runs that wait.
        """
        if not held:
            return True
        spare, unplaced = _pack(held, self._known())
        if self._wait_seconds is not None:
            return unplaced < max(1, len(held) - unplaced)
        return unplaced == 0 and any(_any_fits(kind, spare) for kind in self._kinds)

    def check(self, held: Iterable[ResourceRequest]) -> None:
        """Check that the nodes can still hold the runs in flight.

        Raises:
            CapacityError: if there has been no node for one of them for too long.
        """
        lost = next((each for each in set(held) if not _any_fits(each, self._known())), None)
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
        """Add another kind of request."""
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
            f"no node can hold a run of {kind}{since}; the most that any of {len(nodes)} nodes "
            f"has is {have}; ask for less, or give the --address of a cluster that has it",
        )


_FIELDS = {"CPU": "cpu", "GPU": "gpu", "memory": "memory", "accelerator_type": "accelerator"}


def _any_fits(kind: ResourceRequest, nodes: Iterable[Node]) -> bool:
    return any(_fits(kind, node) for node in nodes)


def _fits(kind: ResourceRequest, node: Node) -> bool:
    return all(node.get(name, 0) + _EPSILON >= amount for name, amount in kind.bundle().items())


def _pack(
    held: Iterable[ResourceRequest], nodes: Iterable[Node]
) -> tuple[list[dict[str, float]], int]:
    """Return what is left of the nodes once every run is placed, and how many could not be.

    Largest first, each on the first node where it fits; Ray may place them otherwise.
    """
    spare = [dict(node) for node in nodes]
    unplaced = 0
    for each in sorted(held, key=lambda request: sorted(request.bundle().items()), reverse=True):
        chosen = next((node for node in spare if _fits(each, node)), None)
        if chosen is None:
            unplaced += 1
            continue
        for name, amount in each.bundle().items():
            chosen[name] -= amount
    return spare, unplaced
