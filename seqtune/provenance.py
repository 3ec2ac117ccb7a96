"""Where a result comes from: versions, source commit, device."""

import functools
import importlib.metadata
import os
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


TOLD_VERSION, TOLD_COMMIT = "SEQTUNE_VERSION", "SEQTUNE_COMMIT"
"""What a process says in the environment of those whom it sends its own source to."""


def source_environment() -> dict[str, str]:
    """The environment that tells a process with a copy of this source where that comes from."""
    return {TOLD_VERSION: versions()["seqtune"], TOLD_COMMIT: git_commit() or ""}


@functools.cache
def versions() -> dict[str, str]:
    """Versions of seqtune, Python and the packages whose numbers matter."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES if name != "seqtune"}
    # A copy that was sent here is not installed, or another version is.
    own = os.environ.get(TOLD_VERSION) or importlib.metadata.version("seqtune")
    return {"python": platform.python_version(), "seqtune": own, **found}


@functools.cache
def git_commit() -> str | None:
    """Commit of seqtune's own source, `+changes` if it was edited since; None if it is no checkout."""
    if TOLD_COMMIT in os.environ:
        return os.environ[TOLD_COMMIT] or None
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
