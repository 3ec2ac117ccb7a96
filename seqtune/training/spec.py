"""Specs of the training, its data and the evaluation."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind


def _tag(value: Any) -> str:
    return "text" if isinstance(value, str) else "number"


class TrainingSpec(Spec):
    """Length, precision and device. An epoch is `batches_per_epoch` steps and an evaluation."""

    epochs: int = Field(default=8, ge=1)
    batches_per_epoch: int = Field(default=50, ge=1)
    batch_size: int = Field(default=64, ge=1)
    """Strings per step."""
    micro_batch: (
        Annotated[
            Annotated[int, Field(ge=1), Tag("number")] | Annotated[Literal["auto"], Tag("text")],
            Discriminator(_tag),
        ]
        | None
    ) = None
    """Strings processed at once, if those of a step do not fit into memory together. Their
    gradients are summed, so that the step is the same, except that dropout makes other draws.
    `auto` finds the fewest equal parts that fit, and takes one more, before the first step; null
    processes all at once."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """bf16 and fp16 use autocast; fp16 also loss scaling, and a GPU. A run on a device without
    support is rejected: on a CPU an LSTM in bf16 needs AVX-512, and a GPU must support bf16
    itself."""
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest gradient norm; null for no clipping."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = False
    """Whether to compile the forward and backward pass with torch.compile, which takes about a
    minute. It does not change recurrent layers, and on a CPU needs a C++ compiler."""

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole training."""
        return self.epochs * self.batches_per_epoch


class FreshData(Spec):
    """Every batch is drawn anew, so that strings repeat only by chance."""

    kind: Literal["fresh"] = "fresh"


class FixedData(Spec):
    """A set drawn once and reshuffled whenever it is exhausted; its last batch may be smaller."""

    kind: Literal["fixed"] = "fixed"
    strings: int = Field(ge=1)


DataSpec: TypeAlias = Annotated[FreshData | FixedData, ByKind(default="fresh")]


class EvaluationSpec(Spec):
    """The evaluation after every epoch.

    Its strings depend only on its own seed, so all runs of a sweep are evaluated on the same ones.
    """

    strings: int = Field(default=1024, ge=1)
    """Validation strings."""
    free: int = Field(default=256, ge=0)
    """Number of validation strings, the first ones, that are also scored with the model's
    predictions as input; at most all, 0 for none."""
    generate: int = Field(default=256, ge=0)
    """Completions to generate and judge of each kind that the task asks for, sampled at temperature
    1 unless the task is deterministic; 0 for none."""
    seed: int = Field(default=0, ge=0)
