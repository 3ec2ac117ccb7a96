"""When a run is ended that could go on, and what stays of it. No part of what a run is: no number depends on it."""

from typing import Literal, TypeAlias

from pydantic import Field

from seqtune.config.spec import Spec

Keep: TypeAlias = Literal["best", "last", "none"]
"""Which weights of a run stay on disk."""


class Limits(Spec):
    """What a run may take, and what it may lose."""

    seconds: float | None = Field(default=None, gt=0)
    """Wall time of a run, over all its sittings; it is noticed about twice a second. Null for no end."""
    loss: float | None = Field(default=10.0, gt=1)
    """A run has diverged when its loss in training or validation is above so many times that of guessing all
    tokens alike (the logarithm of how many there are), where an untrained model begins. Null: only when it is
    not finite."""
    restarts: int = Field(default=2, ge=0)
    """How often a run goes on from its checkpoint after its worker or its node was lost; then it has failed."""


NO_LIMITS_GIVEN = Limits()
"""Those of a run whose file says nothing of them."""
