"""Arrays on their way to a device: on CUDA from pinned memory, on a stream of their own.

So the copy of the next batch runs beside the computation of this one, and neither side waits for the
other. On a CPU a tensor shares the array's memory, and there is nothing to copy.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Sent:
    """Tensors that may still be under way.

    Attributes:
        tensors: one for each array.
        arrived: recorded behind their copies; None on a CPU.
    """

    tensors: tuple[Tensor, ...]
    arrived: torch.cuda.Event | None = None

    def received(self) -> tuple[Tensor, ...]:
        """The tensors, for the current stream: what is queued on it from now on waits for them."""
        if self.arrived is not None:
            stream = torch.cuda.current_stream()
            stream.wait_event(self.arrived)
            for tensor in self.tensors:
                # Their memory was taken on another stream: it is given back only when this one is done.
                tensor.record_stream(stream)
        return self.tensors


class Transfer:
    """Sends arrays to one device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def send(self, *arrays: Array) -> Sent:
        """Starts copying, from whatever thread, and does not wait."""
        # A view with gaps would be copied once more on its way.
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
    """A tensor's values on their way from a device to this process."""

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
        """Whether they are here; asking does not wait."""
        return self._arrived is None or self._arrived.query()

    def values(self) -> list[float]:
        """The values, waited for if they are not here yet."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._values.tolist()
