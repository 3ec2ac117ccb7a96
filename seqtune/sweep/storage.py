"""Where Optuna's studies are kept."""

from pathlib import Path

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from seqtune.sweep.decisions import whole_lines


def journal(path: Path) -> BaseStorage:
    """The journal file, freed of what a killed driver may have left: its lock, and half a line.

    The caller holds the sweep's lock, so no other driver is alive.
    """
    for leftover in path.parent.glob(path.name + ".lock*"):
        leftover.unlink()
    whole_lines(path)
    return JournalStorage(JournalFileBackend(str(path)))
