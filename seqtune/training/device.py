"""Copies to and from the device, its peak memory, and a micro-batch that fits into it."""

import gc
import math
import os
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

CPU_OUT_OF_MEMORY = "can't allocate memory"
"""Part of torch's error message if it gets no host memory."""

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True, eq=False)
class Sent:
    """Tensors whose copies may still be in progress.

    Attributes:
        tensors: one per array.
        arrived: event recorded after the copies; None on a CPU.
    """

    tensors: tuple[Tensor, ...]
    arrived: torch.cuda.Event | None = None

    def receive(self) -> tuple[Tensor, ...]:
        """Return the tensors; work queued on the current stream from now on waits for them."""
        if self.arrived is not None:
            stream = torch.cuda.current_stream()
            stream.wait_event(self.arrived)
            for tensor in self.tensors:
                # Allocated on another stream: its memory may be reused only when this one is done.
                tensor.record_stream(stream)
        return self.tensors


class Transfer:
    """Copies arrays to one device: on CUDA from pinned memory, on a stream of its own.

    So the next batch is copied while the current one is processed, and neither side waits. On a CPU
    a tensor shares the array's memory and nothing is copied.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def send(self, *arrays: npt.NDArray[Any]) -> Sent:
        """Start the copies without waiting; may be called from any thread."""
        # A non-contiguous view would be copied twice.
        tensors = tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)
        if self._stream is None:
            return Sent(tensors)
        with torch.cuda.stream(self._stream):
            moved = tuple(
                tensor.pin_memory().to(self.device, non_blocking=True) for tensor in tensors
            )
            arrived = torch.cuda.Event()
            arrived.record(self._stream)
            return Sent(moved, arrived=arrived)


class Fetched:
    """The values of a tensor, copied to the host without waiting."""

    def __init__(self, tensor: Tensor) -> None:
        self._arrived: torch.cuda.Event | None = None
        if tensor.device.type == "cuda":
            values = torch.empty_like(tensor, device="cpu", pin_memory=True)
            self._values = values.copy_(tensor, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record(torch.cuda.current_stream(tensor.device))
        else:
            self._values = tensor.clone()

    def ready(self) -> bool:
        """Whether the copy is complete; does not wait."""
        return self._arrived is None or self._arrived.query()

    def values(self) -> list[float]:
        """Return the values as soon as the copy is complete."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._values.tolist()


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak, so that a reused worker process does not report an earlier run's."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif os.access(_CLEAR, os.W_OK):
        _CLEAR.write_text("5")  # Linux: resets the high-water mark of the resident set


def peak_memory_bytes(device: torch.device) -> float:
    """Return the peak since the reset: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024) if peak else math.nan


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of torch, NumPy or Python reports that memory could not be allocated."""
    out_of_memory = torch.OutOfMemoryError | MemoryError
    return isinstance(error, out_of_memory) or CPU_OUT_OF_MEMORY in str(error)


def find_micro_batch(strings: int, *, work: Callable[[int], None]) -> int:
    """Return the size of the parts if a batch is cut into the fewest parts that fit, and one more.

    The one more leaves memory for what a later step holds besides: optimizer state, batches made
    ahead, fragmentation. A batch that fits as a whole is not cut.

    Found by trying. On CUDA, running out of memory raises an error. On a CPU it does so only under
    a limit or without overcommitment; otherwise the system kills a process, and nothing can be
    found.

    Args:
        strings: size of the batch.
        work: does the work of a step on that many strings.

    Raises:
        RuntimeError: torch's own, if not even one string fits.
    """
    parts = 1
    while not _fits(_part_size(strings, parts), work=work):
        if parts >= strings:
            work(1)
        parts *= 2
    failed = parts // 2
    while parts - failed > 1:
        middle = (failed + parts) // 2
        if _fits(_part_size(strings, middle), work=work):
            parts = middle
        else:
            failed = middle
    return _part_size(strings, parts + 1 if failed else parts)


def _fits(size: int, *, work: Callable[[int], None]) -> bool:
    try:
        work(size)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    else:
        return True
    # Outside the handler: the error keeps the tensors of the frames that it passed through alive.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False


def _part_size(strings: int, parts: int) -> int:
    return -(-strings // min(parts, strings))
