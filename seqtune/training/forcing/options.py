"""Who decides on a token, what is fed back, and how that is found: the fields beside a schedule."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator

from seqtune.config.errors import problem
from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind

Coin: TypeAlias = Literal["token", "step", "sequence"]


class ArgmaxFeedback(Spec):
    """The most probable token."""

    kind: Literal["argmax"] = "argmax"


class SampledFeedback(Spec):
    """A token drawn from the model's distribution.

    By inverting the distribution function at one uniform number a string and time step, drawn beforehand:
    so what is fed back is a function of the logits, and every stage gives the same.
    """

    kind: Literal["sample"] = "sample"
    temperature: float = Field(default=1.0, allow_inf_nan=False)
    """Divides the logits, and is above 0; near it the most probable token wins."""

    @field_validator("temperature")
    @classmethod
    def _check(cls, temperature: float) -> float:
        if not temperature > 0:
            raise problem(
                f"must be above 0, but got {temperature}; for the most probable token write feedback: argmax"
            )
        return temperature


FeedbackSpec: TypeAlias = Annotated[ArgmaxFeedback | SampledFeedback, ByKind()]


class Exact(Spec):
    """One token after another: runs of true tokens are read at once, and a step follows each own token."""

    kind: Literal["exact"] = "exact"


class Parallel(Spec):
    """One pass over the truth predicts every token; own tokens are put in, and the next pass reads those.

    After n passes the first n own tokens of a string are those of `exact`, and the others what the model
    says to a beginning that is still partly true. Until nothing changes it is `exact`, in at most as many
    passes as there are own tokens. A pass costs what the forward pass of a training step costs, and is made
    in the precision of the training, while `exact` is always in single precision.

    Source: Mihaylova & Martins 2019 (one pass); Duckworth et al. 2019 (several).
    """

    kind: Literal["parallel"] = "parallel"
    passes: int | None = Field(default=1, ge=1)
    """At most so many; null for until nothing changes."""


StageSpec: TypeAlias = Annotated[Exact | Parallel, ByKind(default="parallel")]
