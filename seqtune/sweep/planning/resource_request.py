"""What one run asks a node for, and how many runs share a GPU."""

import math
from dataclasses import dataclass

SPARE = 0.2
"""Share of a GPU's memory that is left free where runs are packed by what they were measured to hold."""


MOST_SHARING = 100
"""Most runs that share a GPU; of more than that, Ray's four decimals could not tell the shares apart."""


@dataclass(frozen=True)
class ResourceRequest:
    """What one run asks of a node.

    Attributes:
        cpu: cores; `gpu` likewise; fractions share one.
        memory: bytes that Ray counts as taken on the node; nothing keeps the run below it.
        accelerator: Ray's name for the kind of GPU, or None for any.
    """

    cpu: float
    gpu: float = 0.0
    memory: float = 0.0
    accelerator: str | None = None

    def bundle(self) -> dict[str, float]:
        """By Ray's names; nothing that is 0."""
        amounts = {"CPU": self.cpu, "GPU": self.gpu, "memory": self.memory}
        if self.accelerator is not None:
            # Ray's own way: a node of the kind has 1 of it, and a run takes next to nothing.
            amounts[f"accelerator_type:{self.accelerator}"] = 0.001
        return {name: amount for name, amount in amounts.items() if amount > 0}

    def __str__(self) -> str:
        words = [f"cpu={self.cpu:g}", f"gpu={self.gpu:g}"]
        words += [f"memory={format_bytes(self.memory)}"] if self.memory else []
        words += [f"accelerator={self.accelerator}"] if self.accelerator else []
        return f"({', '.join(words)})"


def gpu_share(peak_bytes: float, total_bytes: float) -> float:
    """The share of a GPU that leaves room for as many equal runs as fit, with `SPARE` of its memory to spare.

    Args:
        peak_bytes: most that one run held on it, all that is not free for others included.
        total_bytes: all of its memory.

    Returns:
        1/n for n runs a GPU, rounded down to the four decimals that Ray counts; 1 if not even two fit.
    """
    fitting = math.floor(total_bytes * (1 - SPARE) / peak_bytes)
    return math.floor(10_000 / min(max(fitting, 1), MOST_SHARING)) / 10_000


def format_bytes(count: float) -> str:
    """Bytes as people write them."""
    power = min(4, int(math.log2(count) // 10)) if count >= 1 else 0
    unit = ("B", "KiB", "MiB", "GiB", "TiB")[power]
    return f"{count / 1024**power:.4g} {unit}"
