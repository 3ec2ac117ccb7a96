"""Peak memory of a run."""

import math
import os
import resource
import sys
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def start_measuring(device: torch.device) -> None:
    """Forgets the peak so far, so that a worker process used again starts anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif os.access(_CLEAR, os.W_OK):
        _CLEAR.write_text("5")  # Linux: resets the high-water mark of the resident set


def peak_bytes(device: torch.device) -> float:
    """Most bytes held since `start_measuring`: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024) if peak else math.nan
