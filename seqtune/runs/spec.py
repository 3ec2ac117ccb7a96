"""Specs of one run: what determines it (`RunSpec`) and when it is ended early (`Limits`)."""

from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from seqtune.config.errors import problem
from seqtune.config.spec import Spec
from seqtune.models import ModelSpec
from seqtune.models.transformer_spec import Prefix, TransformerSpec
from seqtune.tasks import TaskSpec
from seqtune.training.forcing import Constant, ForcingSpec
from seqtune.training.optim import AdamW, OptimizerSpec
from seqtune.training.spec import DataSpec, EvaluationSpec, FreshData, TrainingSpec

NO_FP16_ON_CPU = "fp16 needs a GPU; write fp32"

Keep: TypeAlias = Literal["best", "last", "none"]
"""Which weights of a run stay on disk: the best by the sweep's metric, the last, or none."""


class RunSpec(Spec):
    """Everything that determines one run.

    Equal specs are the same run: the name of its directory ends in the hash of its spec.
    """

    task: TaskSpec
    model: ModelSpec
    forcing: ForcingSpec = Constant()
    training: TrainingSpec = TrainingSpec()
    optimizer: OptimizerSpec = AdamW()
    data: DataSpec = FreshData()
    evaluation: EvaluationSpec = EvaluationSpec()
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.forcing.check(epochs=self.training.epochs, at="forcing")
        if self.training.precision == "fp16" and self.training.device == "cpu":
            raise problem(NO_FP16_ON_CPU, at="training.precision")
        warmup = self.optimizer.schedule.warmup_epochs
        if warmup > self.training.epochs:
            raise problem(
                "warmup_epochs <= training.epochs must hold, "
                f"but got (warmup_epochs={warmup}, training.epochs={self.training.epochs})",
                at="optimizer.schedule.warmup_epochs",
            )
        self._check_prompt()
        return self

    def _check_prompt(self) -> None:
        if not isinstance(self.model, TransformerSpec):
            return
        if isinstance(self.model.masking, Prefix) and self.task.prompt_length == 0:
            raise problem(
                "prefix masking lets the tokens of a prompt see one another, so they must be "
                "given and "
                "never predicted, but this task predicts every token; write masking: causal, or "
                "a task "
                "with a prompt, such as life with loss: completion",
                at="model.masking",
            )


class Limits(Spec):
    """Limits after which a run is ended. No part of its identity: no number depends on them."""

    seconds: float | None = Field(default=None, gt=0)
    """Wall time of a run in seconds, summed over its sessions; checked about twice a second. Null
    for no limit."""
    loss: float | None = Field(default=10.0, gt=1)
    """Mark the run diverged if its training or validation loss exceeds this multiple of
    ln(vocabulary), the loss of guessing. Null: only if the loss is not finite."""
    restarts: int = Field(default=2, ge=0)
    """How often a run resumes from its checkpoint after its worker or node was lost. After that it
    has failed."""


DEFAULT_LIMITS = Limits()
"""Limits of a run whose file gives none."""
