"""What a run begins with: its device, and its model with fresh weights."""

import functools

import torch

from seqtune import seeding
from seqtune.config.errors import Problem
from seqtune.models.base import SequenceModel
from seqtune.models.recurrent_spec import LSTMSpec
from seqtune.runs.spec import NO_FP16_ON_CPU, RunSpec
from seqtune.tasks.base import Task
from seqtune.training.network_cost import build_for_task


class DeviceError(RuntimeError):
    """The device that a run asks for is missing or cannot train it; `problem` says so at its path."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def build_model(spec: RunSpec, *, task: Task, device: torch.device) -> SequenceModel:
    """The model with the fresh weights that the spec's seed gives, the same on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.integer_seed(spec.seed, "init"))
        model = build_for_task(spec.model, task=task)
    return model.to(device)


def choose_device(spec: RunSpec, *, cuda: bool | None = None) -> torch.device:
    """The device of `training.device`; `auto` is CUDA where there is a CUDA device.

    Args:
        spec: the run.
        cuda: whether the run is given a CUDA device; None if it takes one wherever torch finds it.

    Raises:
        DeviceError: if the run needs CUDA and it is not there, or the device cannot train this model in
            `training.precision`.
    """
    training = spec.training
    cuda = torch.cuda.is_available() if cuda is None else cuda
    if training.device == "cuda" and not cuda:
        raise DeviceError(
            Problem(("training", "device"), "is cuda, but torch finds no CUDA device here")
        )
    device = torch.device("cuda" if cuda and training.device != "cpu" else "cpu")
    if reason := _no_precision(spec, device=device):
        raise DeviceError(Problem(("training", "precision"), reason))
    return device


def _no_precision(spec: RunSpec, *, device: torch.device) -> str:
    """Why the device cannot train this model in `training.precision`; empty if it can."""
    precision, model = spec.training.precision, spec.model
    if device.type == "cuda":
        if precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            return f"{torch.cuda.get_device_name(device)} has no bf16; write fp16 or fp32"
        return ""
    if precision == "fp16":
        return NO_FP16_ON_CPU
    is_lstm = isinstance(model, LSTMSpec) and model.cell == "lstm"
    if precision == "bf16" and is_lstm and not cpu_trains_lstm_in_bf16():
        return "this CPU cannot train an LSTM in bf16: oneDNN needs AVX-512 for it; write fp32"
    return ""


@functools.cache
def cpu_trains_lstm_in_bf16() -> bool:
    """Whether torch has a bf16 LSTM for this CPU.

    Found by trying one: under autocast torch hands every LSTM to oneDNN, also on a CPU for which oneDNN has
    no such kernel, and nothing documented tells which these are.
    """
    with torch.random.fork_rng(devices=[]), torch.autocast("cpu", dtype=torch.bfloat16):
        try:
            torch.nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
        except RuntimeError:
            return False
    return True
