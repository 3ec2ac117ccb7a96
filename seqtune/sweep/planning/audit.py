"""Which of the trials that a pruner stops run on to their end all the same: a sample, by which stopping is judged.

An audited trial is stopped for its study there and then: it is told as PRUNED with what it had measured by that
epoch, so that sampler, pruner and the choice of what is confirmed are those of a sweep without audits. What its
run measures from there on is for the report alone.
"""

import zlib

from seqtune import seeding
from seqtune.runs.directory import RunDirectory
from seqtune.sweep.planning.spec import SearchSpec


def is_audited(search: SearchSpec, *, cell: str, trial: int) -> bool:
    """Whether a trial is to run on if it is stopped: the same in every sitting.

    A larger share audits the same trials, and others.

    Args:
        search: with the seed and the share.
        cell: the cell's name.
        trial: its number in the cell.
    """
    if search.audit == 0:
        return False
    draw = seeding.generator(search.seed, "audit", zlib.crc32(cell.encode()), trial).random()
    return bool(draw < search.audit)


def end_audit(directory: RunDirectory, *, epoch: int) -> None:
    """Makes an audited run that has ended one that was stopped, so that it is ranked nowhere.

    Its run.json says in `audit` after which epoch it was stopped, and in which state it ended. A run that failed
    stays failed: it gave no answer, and can be done again.
    """
    info = directory.info()
    if info["state"] != "stopped":
        directory.update({"audit": {"epoch": epoch, "state": info["state"]}})
    if info["state"] in ("finished", "diverged"):
        why = f": {info['reason']}" if info["reason"] else ""
        directory.end("stopped", reason=f"audited: {info['state']}{why}")
