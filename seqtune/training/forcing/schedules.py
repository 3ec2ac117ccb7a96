"""The register of schedules, and those that are no decay: constant, in phases, and another one reversed."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, Tag, field_serializer, field_validator

from seqtune.config.errors import problem
from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind, ByShape
from seqtune.training.forcing.decays import Cosine, Exponential, InverseSigmoid, Linear
from seqtune.training.forcing.schedule import Forcing, Horizon, Probability

Line = Annotated[tuple[Probability, Probability], Field(strict=False)]
MIXING = frozenset(Forcing.model_fields)


class Constant(Forcing):
    """The same probability throughout; 1 is plain teacher forcing."""

    kind: Literal["constant"] = "constant"
    truth: Probability = 1.0

    def truth_at(self, moment: int, *, clock: Horizon) -> float:
        return self.truth


class Phase(Spec):
    """Some epochs at one probability, or along a line from the first value to the second."""

    epochs: int = Field(ge=1)
    truth: Annotated[Annotated[Probability, Tag("value")] | Annotated[Line, Tag("list")], ByShape]

    def truth_at(self, moment: int, *, per_epoch: int) -> float:
        """The line reaches its second value at the phase's last moment; moments count from its first."""
        if isinstance(self.truth, float | int):
            return float(self.truth)
        first, last = self.truth
        done = Horizon(self.epochs, per_epoch=per_epoch).progress(moment)
        return (1 - done) * first + done * last


class Phased(Forcing):
    """Phases one after the other; together they last as long as the training.

    Example:
        `{kind: phased, phases: [{epochs: 6, truth: 1.0}, {epochs: 20, truth: [0.7, 0.383]}, {epochs: 4, truth: 0.0}]}`
    """

    kind: Literal["phased"] = "phased"
    phases: Annotated[tuple[Phase, ...], Field(strict=False, min_length=1)]

    @property
    def epochs(self) -> int:
        """Length of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    def check(self, *, epochs: int, at: str) -> None:
        if self.epochs != epochs:
            raise problem(
                "the phases must last as long as the training, "
                f"but got (phases={self.epochs}, training.epochs={epochs}); "
                f"write phases that add up to {epochs}, or training.epochs: {self.epochs}",
                at=f"{at}.phases",
            )

    def truth_at(self, moment: int, *, clock: Horizon) -> float:
        for phase in self.phases:
            length = phase.epochs * clock.per_epoch
            if moment < length:
                return phase.truth_at(moment, per_epoch=clock.per_epoch)
            moment -= length
        raise AssertionError("RunSpec checks that the phases last as long as the training")


class Reversed(Forcing):
    """Another schedule, backwards in time: of M moments, the m-th has what the inner one has at M - 1 - m.

    So the first epoch has the inner schedule's last value, and reversed twice a schedule is itself.

    Example:
        `{kind: reversed, schedule: {kind: linear, floor: 0.5}}` rises from .5 in the first epoch to 1 in the last.
    """

    kind: Literal["reversed"] = "reversed"
    schedule: "ForcingSpec"
    """The inner schedule: its formula alone. `by`, `coin`, `feedback` and `stage` stand beside it."""

    @field_validator("schedule")
    @classmethod
    def _formula_alone(cls, schedule: Forcing) -> Forcing:
        for name in sorted(schedule.model_fields_set & MIXING):
            raise problem(
                "is not part of the schedule that is reversed: write it beside `kind: reversed`",
                at=name,
            )
        return schedule

    @field_serializer("schedule")
    def _to_data(self, schedule: Forcing) -> dict[str, Any]:
        return schedule.model_dump(mode="json", exclude=set(MIXING))

    def check(self, *, epochs: int, at: str) -> None:
        self.schedule.check(epochs=epochs, at=f"{at}.schedule")

    def truth_at(self, moment: int, *, clock: Horizon) -> float:
        return self.schedule.truth_at(clock.last - moment, clock=clock)


ForcingSpec: TypeAlias = Annotated[
    Constant | Linear | Exponential | InverseSigmoid | Cosine | Phased | Reversed,
    ByKind(default="constant"),
]
Reversed.model_rebuild()
