"""The density of first boards: the distribution of each board's share of live cells.

Given its share p, a homogeneous board has independent cells, each alive with probability p. If p is
beta(a, b) distributed and unknown, the best prediction after m cells, k of them alive, is
(a + k) / (a + b + m); for uniform p (a = b = 1) that is Laplace's rule (k + 1) / (m + 2). The floor
follows from it.

Shares are stratified over a draw: of A boards, one has its share in each A-th part of the
distribution (for `broad`, in [i / A, (i + 1) / A), where LifeGPT takes i / (A - 1)), in random
order. Each share by itself still has the distribution named.
"""

import abc
import math
import re
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field

from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind, OrInShort
from seqtune.tasks.life.board import Boards

Probabilities: TypeAlias = npt.NDArray[np.float64]


class _Density(Spec):
    """What all densities have in common."""

    @abc.abstractmethod
    def shares(self, count: int, *, generator: np.random.Generator) -> Probabilities:
        """Draw the shares of live cells of that many boards, float64 [B]."""

    @abc.abstractmethod
    def predict(self, cells: Boards) -> Probabilities:
        """Return P(alive) of each of the cells [B, n] given those before it, float64 [B, n]."""

    @abc.abstractmethod
    def entropy(self, cells: int) -> float:
        """Return the expected loss of the best prediction of a board's cells, in nats."""


class _FixedShare(_Density):
    """The same share in every board."""

    @abc.abstractmethod
    def share_alive(self) -> float:
        """Return the probability that a cell is alive."""

    def shares(self, count: int, *, generator: np.random.Generator) -> Probabilities:
        return np.full(count, self.share_alive())

    def predict(self, cells: Boards) -> Probabilities:
        return np.full(cells.shape, self.share_alive())

    def entropy(self, cells: int) -> float:
        alive = self.share_alive()
        return -cells * sum(p * math.log(p) for p in (alive, 1 - alive) if p > 0)


class _RandomShare(_Density):
    """A share that is drawn for each board."""

    @abc.abstractmethod
    def prior(self) -> tuple[float, float]:
        """Return the parameters a and b of the beta distribution of the share."""

    def shares(self, count: int, *, generator: np.random.Generator) -> Probabilities:
        from scipy.special import betaincinv

        spread = (generator.permutation(count) + generator.random(count)) / max(count, 1)
        return betaincinv(*self.prior(), spread)

    def predict(self, cells: Boards) -> Probabilities:
        a, b = self.prior()
        alive = np.cumsum(cells, axis=1, dtype=np.int64) - cells
        return (a + alive) / (a + b + np.arange(cells.shape[1]))

    def entropy(self, cells: int) -> float:
        from scipy.special import betaln, gammaln

        a, b = self.prior()
        alive = np.arange(cells + 1)
        nats = betaln(a, b) - betaln(a + alive, b + cells - alive)
        orders = gammaln(cells + 1) - gammaln(alive + 1) - gammaln(cells - alive + 1)
        return float(np.exp(orders - nats) @ nats)


class High(_FixedShare):
    """Every cell is alive with probability .5: boards of highest entropy."""

    kind: Literal["high"] = "high"

    def share_alive(self) -> float:
        return 0.5


class FixedDensity(_FixedShare):
    """Every cell is alive with the same probability; a bare number is short for it."""

    kind: Literal["fixed"] = "fixed"
    share: float = Field(ge=0, le=1)
    """Probability that a cell is alive."""

    def share_alive(self) -> float:
        return self.share


class Broad(_RandomShare):
    """Boards from empty to full: the share is uniform from 0 to 1."""

    kind: Literal["broad"] = "broad"

    def prior(self) -> tuple[float, float]:
        return 1.0, 1.0


class Beta(_RandomShare):
    """The share has a beta distribution, its mean a / (a + b)."""

    kind: Literal["beta"] = "beta"
    a: float = Field(gt=0, allow_inf_nan=False)
    """The larger, the more cells are alive."""
    b: float = Field(gt=0, allow_inf_nan=False)
    """The larger, the more cells are dead."""

    def prior(self) -> tuple[float, float]:
        return self.a, self.b


def _expand(value: Any) -> Any:
    """Expand a number, or `beta(a, b)`, to the density that it is short for."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"kind": "fixed", "share": value}
    number = r"([0-9]*\.?[0-9]+)"
    written = isinstance(value, str) and re.fullmatch(
        rf"beta\(\s*{number}\s*,\s*{number}\s*\)", value
    )
    return {"kind": "beta", "a": float(written[1]), "b": float(written[2])} if written else value


DensitySpec: TypeAlias = Annotated[
    High | Broad | FixedDensity | Beta,
    ByKind(),
    BeforeValidator(_expand),
    OrInShort({"type": "number", "minimum": 0, "maximum": 1}),
    OrInShort({"type": "string", "pattern": r"^beta\("}),
]
