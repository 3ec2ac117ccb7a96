"""What a run begins with: its device, and its model with fresh weights."""

import torch

from seqtune import seeding
from seqtune.models.model import SequenceModel
from seqtune.run import NO_FP16_ON_CPU, RunSpec
from seqtune.tasks.task import Task
from seqtune.training.spec import TrainingSpec


def build_model(spec: RunSpec, *, task: Task, device: torch.device) -> SequenceModel:
    """The model with the fresh weights that the spec's seed gives, the same on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.integer_seed(spec.seed, "init"))
        model = spec.model.build(
            vocab_size=task.vocab_size,
            outputs=task.outputs,
            max_length=task.max_length,
            prompt_length=task.prompt_length,
        )
    return model.to(device)


def choose_device(spec: TrainingSpec) -> torch.device:
    """The device of `training.device`, `auto` being CUDA wherever it is.

    Raises:
        RuntimeError: if the run needs CUDA and it is not there.
    """
    if spec.device == "cpu" or not torch.cuda.is_available():
        if spec.device == "cuda":
            raise RuntimeError("training.device is cuda, but torch finds no CUDA device here")
        if spec.precision == "fp16":
            raise RuntimeError(f"training.precision: {NO_FP16_ON_CPU}")
        return torch.device("cpu")
    return torch.device("cuda")
