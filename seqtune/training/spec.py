"""How long, on what data and how precisely a model is trained, and how it is measured."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind


def _written(value: Any) -> str:
    return "text" if isinstance(value, str) else "number"


class TrainingSpec(Spec):
    """An epoch is `batches_per_epoch` optimizer steps, followed by an evaluation and a checkpoint."""

    epochs: int = Field(default=8, ge=1)
    batches_per_epoch: int = Field(default=50, ge=1)
    batch_size: int = Field(default=64, ge=1)
    """Strings a step."""
    micro_batch: (
        Annotated[
            Annotated[int, Field(ge=1), Tag("number")] | Annotated[Literal["auto"], Tag("text")],
            Discriminator(_written),
        ]
        | None
    ) = None
    """Strings that are worked on at once, where a step's do not fit into memory together: their
    gradients are summed, so that the step is the same (where chance has a part in it, as in dropout, its
    draws are others). `auto` finds the fewest equal parts that fit, and takes one more, before
    the first step; null is all at once."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """bf16 and fp16 by autocast; fp16 with loss scaling, and on a GPU only. A device that cannot train the model
    in it is refused: an LSTM in bf16 needs AVX-512 on a CPU, and a GPU needs bf16 of its own."""
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient; null for no clipping."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = False
    """Whether torch.compile makes the forward and backward pass faster, after a minute or so of work. It
    leaves recurrent layers as they are, and on a CPU needs a C++ compiler."""

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole training."""
        return self.epochs * self.batches_per_epoch


class FreshData(Spec):
    """Every batch is drawn anew: no string is meant to be seen twice."""

    kind: Literal["fresh"] = "fresh"


class FixedData(Spec):
    """A set drawn once and reshuffled every epoch; its last batch may be smaller."""

    kind: Literal["fixed"] = "fixed"
    strings: int = Field(ge=1)


DataSpec: TypeAlias = Annotated[FreshData | FixedData, ByKind(default="fresh")]


class EvaluationSpec(Spec):
    """The measurement after every epoch.

    Its strings depend on its own seed alone, so all runs of a sweep are measured on the same ones.
    """

    strings: int = Field(default=1024, ge=1)
    """Validation strings."""
    free: int = Field(default=256, ge=0)
    """The first so many of them are also read with the model's own predictions as input, all of them if they
    are fewer; 0 for none."""
    generate: int = Field(default=256, ge=0)
    """Completions of each kind that an exam asks for, judged; sampled at temperature 1 unless the task is
    deterministic. 0 for none."""
    seed: int = Field(default=0, ge=0)
