"""What it costs to keep the studies in each kind of storage: milliseconds a trial, training left out.

A trial is what the driver of a sweep does with one: it asks for it, reads its values, reports four epochs
with a look at the pruner after each, and tells how it ended. For every storage it prints the median and the
quartiles over trials, whose order is interleaved, in studies that had none at first.

The journal and SQLite are in a temporary folder. With a URL as its argument a PostgreSQL database is
measured too:

    python analysis/benchmarks/storage.py postgresql://USER@HOST/DATABASE

It leaves a study of its own there, called `benchmark-...`, and deletes it at the end.
"""

import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path

import optuna
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import RandomSampler

from seqtune.provenance import cpu_name
from seqtune.sweep.search.storage import open_storage

TRIALS = 60
EPOCHS = 4


def study_in(storage: str, *, folder: Path, name: str) -> optuna.Study:
    """A new study; random proposals, so that a trial costs the same however many came before it."""
    return optuna.create_study(
        study_name=name,
        storage=open_storage(storage, root=folder),
        sampler=RandomSampler(seed=0),
        pruner=SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    )


def seconds_of_a_trial(study: optuna.Study) -> float:
    """How long the driver is busy with one trial."""
    begun = time.perf_counter()
    trial = study.ask()
    rate = trial.suggest_float("optimizer.lr", 1e-3, 1e-1, log=True)
    trial.suggest_int("model.width", 8, 64)
    for epoch in range(1, EPOCHS + 1):
        trial.report(rate / epoch, epoch)
        trial.should_prune()
    study.tell(trial, rate)
    return time.perf_counter() - begun


def main(urls: list[str]) -> None:
    """Measures every storage."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = f"benchmark-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as scratch:
        studies = {
            storage.partition(":")[0]: study_in(storage, folder=Path(scratch), name=name)
            for storage in ("journal", "sqlite", *urls)
        }
        seconds: dict[str, list[float]] = {kind: [] for kind in studies}
        for _ in range(TRIALS):
            for kind, study in studies.items():
                seconds[kind].append(seconds_of_a_trial(study))
        for kind, study in studies.items():
            low, middle, high = (1000 * each for each in statistics.quantiles(seconds[kind], n=4))
            print(f"{kind:<12} {middle:7.1f} ms a trial ({low:.1f} to {high:.1f})")
            optuna.delete_study(study_name=name, storage=study._storage)
    print(f"{TRIALS} trials of {EPOCHS} epochs each; {cpu_name()}")


if __name__ == "__main__":
    main(sys.argv[1:])
