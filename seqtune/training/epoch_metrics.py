"""What an epoch adds up to while it runs, without waiting for the device."""

import math
import time

import torch
from torch import Tensor

from seqtune.training.measurement import DivergedError, Progress
from seqtune.training.transfer import Fetched

HEARTBEAT_SECONDS = 0.5


class EpochMetrics:
    """Sums over an epoch, kept on the device until somebody asks."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(4, dtype=torch.float64, device=device)
        self._tokens = 0
        self._steps = 0
        self._started = self._beat = time.perf_counter()
        self._fetched: tuple[Fetched, int] | None = None

    def add(self, *, loss: Tensor, correct: Tensor) -> None:
        """A part of a step's strings: their nats, and how many of their tokens were right."""
        self._sums[:2] += torch.stack([loss.double(), correct.double()])

    def step(self, *, norm: Tensor, count: int) -> None:
        """A step's norm of the gradient, and its scored tokens."""
        # In half precision a step whose gradient overflows is skipped: it has no norm to average.
        whole = torch.isfinite(norm)
        self._sums[2:] += torch.stack([torch.where(whole, norm, 0).double(), whole.double()])
        self._tokens += count
        self._steps += 1

    def due(self) -> bool:
        """Whether it is time for a heartbeat, and its sums have come over from the device."""
        if time.perf_counter() - self._beat < HEARTBEAT_SECONDS:
            return False
        if self._fetched is None:
            self._fetched = Fetched(self._sums), self._tokens
        return self._fetched[0].ready()

    def progress(self, *, step: int, steps: int, lr: float) -> Progress:
        """What a heartbeat says, once it is due."""
        assert self._fetched is not None, "only asked when due"
        fetched, tokens = self._fetched
        self._beat, self._fetched = time.perf_counter(), None
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
        """Since the epoch began."""
        return time.perf_counter() - self._started

    def metrics(self) -> dict[str, float]:
        """Those of the whole epoch so far; waits for the device."""
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
