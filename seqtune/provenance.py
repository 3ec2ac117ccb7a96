"""Where a result comes from: versions, source commit, device."""

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path

PACKAGES = (
    "seqtune",
    "torch",
    "numpy",
    "numba",
    "ray",
    "optuna",
    "x-transformers",
    "pandas",
    "tensorboard",
)


@functools.cache
def versions() -> dict[str, str]:
    """Versions of seqtune, Python and the packages whose numbers matter."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **found}


@functools.cache
def git_commit() -> str | None:
    """Commit of seqtune's own source, `+changes` if it was edited since; None if it is no checkout."""
    folder = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return None  # no git here, or no checkout: both mean that there is no commit to name
        return done.stdout.strip()

    # An installed package may lie inside somebody else's checkout, whose commit says nothing of us.
    if git("ls-files", "--error-unmatch", __file__) is None:
        return None
    commit = git("rev-parse", "HEAD")
    return f"{commit}+changes" if commit and git("status", "--porcelain", "--", ".") else commit


@functools.cache
def cpu_name() -> str:
    """The processor's name as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
