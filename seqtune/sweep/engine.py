"""Ray Tune as the muscle: places the studies' proposals on workers and brings their measurements back.

Two thin pieces in the driver join it to the studies: a searcher that asks for the next run, and a
scheduler that passes each measurement on and stops what should be stopped. Ray keeps no results here:
they are read from the run directories, and every start is a fresh Tune experiment.
"""

import json
import logging
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

QUIET = {
    # Ray's own tables, result files, hints and usage reports: ours are the run directories.
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # A run that fails at once reports nothing; that must not end the sweep.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Slow clean-up of a stopped run must not hang the worker that is used again.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
os.environ.update(QUIET)

import ray  # noqa: E402  (reads its environment when imported)
from ray import tune  # noqa: E402
from ray.tune.schedulers import FIFOScheduler, TrialScheduler  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

from seqtune.run import RunSpec  # noqa: E402
from seqtune.rundir import RunDirectory  # noqa: E402
from seqtune.sweep.spec import Resources  # noqa: E402
from seqtune.sweep.studies import Proposal, Studies  # noqa: E402
from seqtune.training.measurement import METRICS, Measurement  # noqa: E402

log = logging.getLogger(__name__)

RESTARTS = 2
"""How often a run goes on from its checkpoint after its worker died; then it is lost."""


class ClusterError(ValueError):
    """The cluster cannot be reached, or cannot hold a single run."""


@dataclass(frozen=True)
class Events:
    """What the live table wants to know.

    Attributes:
        ended: called with every run that ended and its state.
        tick: called about ten times a second.
    """

    ended: Callable[[Proposal, str], None]
    tick: Callable[[], None]


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """A connection to a Ray cluster, left as it was found.

    Args:
        address: of a running cluster; None for `RAY_ADDRESS`, or else a local one of our own.

    Raises:
        ClusterError: if there is no cluster at the address.
    """
    if ray.is_initialized():
        yield
        return
    chosen = address or os.environ.get("RAY_ADDRESS") or "local"
    try:
        ray.init(
            address=chosen,
            include_dashboard=False if chosen == "local" else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except ConnectionError as error:
        reason = str(error).splitlines()[0]
        raise ClusterError(f"no Ray cluster at {chosen}: {reason}") from None
    try:
        yield
    finally:
        ray.shutdown()


def execute(studies: Studies, *, resources: Resources, events: Events) -> bool:
    """Runs everything that the studies propose; needs a cluster.

    Returns:
        Whether all is done; false after an interruption (SIGINT or SIGTERM), when every run
        that was under way can be gone on with.

    Raises:
        ClusterError: if no node can hold a run.
    """
    slots = count_slots(resources)
    join = _Join(studies, events=events)
    trainable = tune.with_resources(_train, {"cpu": resources.cpu, "gpu": resources.gpu})
    with tempfile.TemporaryDirectory(prefix="seqtune-tune-") as scratch, join.interruptible():
        tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=_Searcher(join),
                scheduler=_Scheduler(join),
                num_samples=-1,
                max_concurrent_trials=slots,
                reuse_actors=True,
                trial_name_creator=lambda trial: trial.config["run"],
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                stop=_Stopper(join),
                callbacks=[_Ticker(join)],
                failure_config=tune.FailureConfig(max_failures=RESTARTS),
            ),
        ).fit()
    return studies.done


def count_slots(resources: Resources) -> int:
    """How many runs the cluster holds at once.

    Raises:
        ClusterError: if no node holds even one.
    """
    slots = 0
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        has = node["Resources"]
        fits = int(has.get("CPU", 0) / resources.cpu + 1e-9)
        if resources.gpu:
            fits = min(fits, int(has.get("GPU", 0) / resources.gpu + 1e-9))
        slots += fits
    if slots == 0:
        most = {
            name: max((node["Resources"].get(name, 0) for node in ray.nodes()), default=0)
            for name in ("CPU", "GPU")
        }
        raise ClusterError(
            f"resources: no node can hold a run of (cpu={resources.cpu}, gpu={resources.gpu}); "
            f"the largest has (cpu={most['CPU']}, gpu={most['GPU']})"
        )
    return slots


def _train(config: dict[str, Any]) -> None:
    """The work of one run, in a worker. How it ends is written to its directory."""
    import torch

    from seqtune.record import record

    torch.set_num_threads(max(1, int(config["threads"])))
    directory = RunDirectory(config["directory"])
    measurements = record(
        RunSpec.parse(json.loads(config["spec"])),
        directory=directory,
        metric=config["metric"],
        sweep=config["sweep"],
        note=config["sweep"]["question"],
    )
    try:
        for measurement in measurements:
            # Stopping raises SystemExit inside report.
            tune.report(
                {
                    "epoch": measurement.epoch,
                    "step": measurement.step,
                    "tokens": measurement.tokens,
                    "seconds": measurement.seconds,
                    **measurement.metrics,
                }
            )
    finally:
        measurements.close()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class _Join:
    """What searcher, scheduler, stopper and ticker share."""

    def __init__(self, studies: Studies, *, events: Events) -> None:
        self.studies = studies
        self.events = events
        self.interrupted = False
        self._proposals: dict[str, Proposal] = {}
        self._stopped: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles the whole experiment for a restore that is never made."""
        return {}

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the sweep in order: a second one at once."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def interrupt(number: int, frame: FrameType | None) -> None:
            self.interrupted = True
            for each, handler in before.items():
                signal.signal(each, handler)

        for number in before:
            signal.signal(number, interrupt)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self.interrupted or self.studies.done:
            return Searcher.FINISHED
        proposal = self.studies.next()
        if proposal is None:
            return Searcher.FINISHED if self.studies.done else None
        self._proposals[trial_id] = proposal
        return {
            "run": proposal.name,
            "directory": str(self.studies.directory(proposal).path),
            "spec": json.dumps(proposal.spec.to_data()),
            "metric": self.studies.plan.sweep.metric,
            "sweep": self.studies.place(proposal),
            "threads": self.studies.plan.sweep.resources.cpu,
        }

    def judge(self, trial_id: str, result: dict[str, Any]) -> bool:
        proposal = self._proposals[trial_id]
        measurement = Measurement(
            epoch=result["epoch"],
            step=result["step"],
            tokens=result["tokens"],
            seconds=result["seconds"],
            metrics={name: result[name] for name in METRICS if name in result},
        )
        stop = self.studies.judge(proposal.name, measurement)
        if stop:
            self._stopped.add(trial_id)
        return stop

    def ended(self, trial_id: str, *, error: bool) -> None:
        """Settles a run whose worker is through with it."""
        proposal = self._proposals.pop(trial_id)
        directory = self.studies.directory(proposal)
        running = not directory.exists() or directory.info()["state"] == "running"
        if running and trial_id in self._stopped:
            directory.end("stopped", reason="pruned")
        elif running and error:
            self._lose(proposal, directory=directory)
        elif running:
            self.studies.put_back(proposal.name)
            return
        state = self.studies.tell(proposal.name)
        self.events.ended(proposal, state)

    def _lose(self, proposal: Proposal, *, directory: RunDirectory) -> None:
        if not directory.exists():
            spec = proposal.spec
            place = self.studies.place(proposal)
            directory.create({"hash": spec.hash(), "spec": spec.to_data(), "sweep": place})
        times = RESTARTS + 1
        directory.end("failed", reason=f"lost: its worker died {times} times")


class _Searcher(Searcher):
    def __init__(self, join: _Join) -> None:
        super().__init__()
        self._join = join

    def suggest(self, trial_id: str) -> Any:
        return self._join.suggest(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._join.ended(trial_id, error=error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the studies and the run directories are the memory."""

    def restore(self, checkpoint_path: str) -> None:
        raise RuntimeError("a sweep goes on from its run directories, never from Ray's snapshots")


class _Scheduler(FIFOScheduler):
    def __init__(self, join: _Join) -> None:
        super().__init__()
        self._join = join

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        stop = self._join.judge(trial.trial_id, result)
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE


class _Stopper(tune.Stopper):
    def __init__(self, join: _Join) -> None:
        self._join = join

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._join.interrupted


class _Ticker(tune.Callback):
    def __init__(self, join: _Join) -> None:
        self._join = join

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._join.events.tick()
