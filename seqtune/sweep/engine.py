"""Ray Tune as the muscle: places the studies' proposals on workers and brings their measurements back.

Two thin pieces in the driver join it to the studies: a searcher that asks for the next run, and a
scheduler that passes each measurement on and stops what should be stopped. Ray keeps no results here:
they are read from the run directories, and every start is a fresh Tune experiment.
"""

import json
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

# First, since it sets the environment that Ray reads when it is imported.
from seqtune.sweep.cluster import count_slots  # isort: skip

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from seqtune.limits import Limits
from seqtune.run import RunSpec
from seqtune.rundir import RunDirectory
from seqtune.sweep.search import Proposal
from seqtune.sweep.studies import Studies
from seqtune.training.measurement import METRICS, Measurement


@dataclass(frozen=True)
class Events:
    """What the live table wants to know.

    Attributes:
        ended: called with every run that ended and its state.
        tick: called about ten times a second.
    """

    ended: Callable[[Proposal, str], None]
    tick: Callable[[], None]


def execute(studies: Studies, *, events: Events, fail_fast: bool = False) -> bool:
    """Runs everything that the studies propose, on the cluster that this process is connected to.

    SIGINT and SIGTERM end it early and in order: every run that was under way can be gone on with. So
    does the first run that fails or diverges, with `fail_fast`; returns whether one did.

    Raises:
        ClusterError: if no node can hold a run.
    """
    resources = studies.plan.sweep.resources
    slots = count_slots(resources)
    join = _Join(studies, events=events, fail_fast=fail_fast)
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
                failure_config=tune.FailureConfig(max_failures=studies.plan.sweep.limits.restarts),
            ),
        ).fit()
    return join.halted


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
        limits=Limits.parse(config["limits"]),
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

    def __init__(self, studies: Studies, *, events: Events, fail_fast: bool) -> None:
        self.studies = studies
        self.events = events
        self.halted = False
        self._fail_fast = fail_fast
        self.interrupted = False
        self._proposals: dict[str, Proposal] = {}
        self._stopped: set[str] = set()
        self._resting: set[str] = set()

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
            "limits": self.studies.plan.sweep.limits.to_data(),
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
        match self.studies.judge(proposal.name, measurement):
            case "go on":
                return False
            case "stop":
                self._stopped.add(trial_id)
            case "rest":
                self._resting.add(trial_id)
        return True

    def ended(self, trial_id: str, *, error: bool) -> None:
        """Settles a run whose worker is through with it."""
        proposal = self._proposals.pop(trial_id)
        directory = self.studies.directory(proposal)
        running = not directory.exists() or directory.info()["state"] == "running"
        if running and self.interrupted:
            return  # it stays open, and another sitting goes on with it
        if running and trial_id in self._resting and not error:
            self.studies.rest(proposal.name)
            return
        if running and trial_id in self._stopped:
            directory.end("stopped", reason="pruned")
        elif running and error:
            times = self.studies.plan.sweep.limits.restarts + 1
            self._lose(proposal, reason=f"lost: its worker failed or died {times} times")
        elif running:
            reason = f"lost: its worker ended, but {directory.path} does not say how; is it shared?"
            self._lose(proposal, reason=reason)
        state = self.studies.tell(proposal.name)
        self.events.ended(proposal, state)
        if self._fail_fast and state in ("failed", "diverged"):
            self.interrupted = self.halted = True

    def _lose(self, proposal: Proposal, *, reason: str) -> None:
        directory = self.studies.directory(proposal)
        if not directory.exists():
            spec = proposal.spec
            place = self.studies.place(proposal)
            directory.create({"hash": spec.hash(), "spec": spec.to_data(), "sweep": place})
        directory.end("failed", reason=reason)


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
