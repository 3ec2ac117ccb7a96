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


VERSION_VARIABLE, COMMIT_VARIABLE = "SEQTUNE_VERSION", "SEQTUNE_COMMIT"
"""Environment variables that tell a process with a copied source where the copy comes from."""


def source_environment() -> dict[str, str]:
    """Return the environment for processes that are sent a copy of this source."""
    return {VERSION_VARIABLE: versions()["seqtune"], COMMIT_VARIABLE: git_commit() or ""}


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of seqtune, Python and the packages that may affect results."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES if name != "seqtune"}
    # A copied source is not installed; whatever is installed may be another version.
    own = os.environ.get(VERSION_VARIABLE) or importlib.metadata.version("seqtune")
    return {"python": platform.python_version(), "seqtune": own, **found}


@functools.cache
def git_commit() -> str | None:
    """Return the commit of seqtune's source, with `+changes` if edited; None outside a checkout."""
    if COMMIT_VARIABLE in os.environ:
        return os.environ[COMMIT_VARIABLE] or None
    folder = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return None  # git is missing, or the folder is no checkout
        return done.stdout.strip()

    # An installed package may lie inside another project's checkout.
    if git("ls-files", "--error-unmatch", __file__) is None:
        return None
    commit = git("rev-parse", "HEAD")
    return f"{commit}+changes" if commit and git("status", "--porcelain", "--", ".") else commit


@functools.cache
def cpu_name() -> str:
    """Return the processor's name as the system reports it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
