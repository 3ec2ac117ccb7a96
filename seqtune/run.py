"""What determines a run: the value that `seqtune train FILE` reads and that a sweep proposes."""

from typing import Self

from pydantic import Field, model_validator

from seqtune.models import ModelSpec
from seqtune.spec import Spec, problem
from seqtune.tasks import TaskSpec
from seqtune.training.forcing import Constant, ForcingSpec, Phased
from seqtune.training.optim import AdamW, OptimizerSpec
from seqtune.training.spec import DataSpec, EvaluationSpec, Fresh, TrainingSpec

NO_FP16_ON_CPU = "fp16 needs a GPU: torch has no half-precision LSTM for the CPU; write bf16"


class RunSpec(Spec):
    """All that determines one run. Equal specs are the same run: its directory ends in their hash."""

    task: TaskSpec
    model: ModelSpec
    forcing: ForcingSpec = Constant()
    training: TrainingSpec = TrainingSpec()
    optimizer: OptimizerSpec = AdamW()
    data: DataSpec = Fresh()
    evaluation: EvaluationSpec = EvaluationSpec()
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if isinstance(self.forcing, Phased) and self.forcing.epochs != self.training.epochs:
            raise problem(
                "the phases must last as long as the training, "
                f"but got (phases={self.forcing.epochs}, training.epochs={self.training.epochs})",
                at="forcing.phases",
            )
        if self.training.precision == "fp16" and self.training.device == "cpu":
            raise problem(NO_FP16_ON_CPU, at="training.precision")
        warmup = self.optimizer.schedule.warmup_epochs
        if warmup > self.training.epochs:
            raise problem(
                "warmup_epochs <= training.epochs must hold, "
                f"but got (warmup_epochs={warmup}, training.epochs={self.training.epochs})",
                at="optimizer.schedule.warmup_epochs",
            )
        return self
