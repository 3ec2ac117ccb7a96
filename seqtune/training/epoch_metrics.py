"""Training metrics of an epoch, summed on the device without waiting for it."""

import math
import time

import torch
from torch import Tensor

from seqtune.training.device import Fetched
from seqtune.training.measurement import DivergedError, Progress

HEARTBEAT_SECONDS = 0.5


class EpochMetrics:
    """Running sums of an epoch. They stay on the device until they are requested."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(4, dtype=torch.float64, device=device)
        self._tokens = 0
        self._steps = 0
        self._started = self._last_heartbeat = time.perf_counter()
        self._fetched: tuple[Fetched, int] | None = None

    def add(self, *, loss: Tensor, correct: Tensor) -> None:
        """Add the summed loss in nats and the correct tokens of a part of a step's strings."""
        self._sums[:2] += torch.stack([loss.double(), correct.double()])

    def step(self, *, norm: Tensor, count: int) -> None:
        """Add a step's gradient norm and number of scored tokens."""
        # In half precision a step whose gradient overflows is skipped: it has no norm to average.
        finite = torch.isfinite(norm)
        self._sums[2:] += torch.stack([torch.where(finite, norm, 0).double(), finite.double()])
        self._tokens += count
        self._steps += 1

    def due(self) -> bool:
        """Whether it is time for a heartbeat and its sums have arrived from the device."""
        if time.perf_counter() - self._last_heartbeat < HEARTBEAT_SECONDS:
            return False
        if self._fetched is None:
            self._fetched = Fetched(self._sums), self._tokens
        return self._fetched[0].ready()

    def progress(self, *, step: int, steps: int, lr: float) -> Progress:
        """Return the progress for a heartbeat; only to be called when `due`."""
        assert self._fetched is not None, "only called when due"
        fetched, tokens = self._fetched
        self._last_heartbeat, self._fetched = time.perf_counter(), None
        metrics = self._metrics(fetched, tokens=tokens)
        return Progress(
            step=step,
            steps=steps,
            loss=metrics["train/loss"],
            accuracy=metrics["train/accuracy"],
            lr=lr,
            tokens_per_second=metrics["tokens_per_second"],
        )

    @property
    def seconds(self) -> float:
        """Seconds since the epoch began."""
        return time.perf_counter() - self._started

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the epoch so far; waits for the device.

        Raises:
            DivergedError: if the loss is not finite.
        """
        return self._metrics(Fetched(self._sums), tokens=self._tokens)

    def _metrics(self, fetched: Fetched, *, tokens: int) -> dict[str, float]:
        loss, correct, norm, norms = fetched.values()
        if not math.isfinite(loss):
            raise DivergedError(f"train/loss is {loss} within {self._steps} steps of the epoch")
        return {
            "train/loss": loss / tokens,
            "train/accuracy": correct / tokens,
            "grad_norm": norm / norms if norms else math.nan,
            "tokens_per_second": tokens / self.seconds,
        }
