"""Build what a run starts with: its device, and its model with fresh weights."""

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
    """The device of a run is missing or cannot train it; see `problem` for the path and reason."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def build_model(spec: RunSpec, *, task: Task, device: torch.device) -> SequenceModel:
    """Build the model with weights drawn from the spec's seed, the same on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.integer_seed(spec.seed, "init"))
        model = build_for_task(spec.model, task=task)
    return model.to(device)


def choose_device(spec: RunSpec, *, cuda: bool | None = None) -> torch.device:
    """Return the device for `training.device`; `auto` means CUDA if there is a CUDA device.

    Args:
        spec: the run.
        cuda: whether the run was assigned a CUDA device; None to ask torch.

    Raises:
        DeviceError: if CUDA is required but missing, or the device cannot train this model in
            `training.precision`.
    """
    training = spec.training
    cuda = torch.cuda.is_available() if cuda is None else cuda
    if training.device == "cuda" and not cuda:
        raise DeviceError(
            Problem(("training", "device"), "is cuda, but torch finds no CUDA device")
        )
    device = torch.device("cuda" if cuda and training.device != "cpu" else "cpu")
    if reason := _unsupported_precision(spec, device=device):
        raise DeviceError(Problem(("training", "precision"), reason))
    return device


def _unsupported_precision(spec: RunSpec, *, device: torch.device) -> str:
    """Return why the device cannot train this model in `training.precision`; empty if it can."""
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
    """Return whether torch has a bf16 LSTM kernel for this CPU.

    Found by trying: under autocast torch hands every LSTM to oneDNN, even on CPUs for which oneDNN
    has no such kernel, and which ones these are is not documented.
    """
    with torch.random.fork_rng(devices=[]), torch.autocast("cpu", dtype=torch.bfloat16):
        try:
            torch.nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
        except RuntimeError:
            return False
    return True
