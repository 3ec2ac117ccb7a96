"""What determines a run: the value that `seqtune train FILE` reads and that a sweep proposes."""

from typing import Self

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


class RunSpec(Spec):
    """All that determines one run. Equal specs are the same run: its directory ends in their hash."""

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
                "prefix masking lets the tokens of a prompt see one another, so they must be given and "
                "never predicted, but this task predicts every token; write masking: causal, or a task "
                "with a prompt, such as life with loss: completion",
                at="model.masking",
            )
