"""Ray Tune as the muscle: places the studies' proposals on workers and brings their measurements back.

Thin pieces in the driver join it to a sitting: a searcher that asks for the next run, a scheduler that
passes each measurement on and stops what should be stopped, a callback that looks after them. Ray keeps no
results and starts nothing again by itself: results are read from the run directories, a run whose worker
was lost goes on as a new trial, and every Tune experiment is a fresh one.
"""

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

# First, since it sets the environment that Ray reads when it is imported.
from seqtune.sweep.execution.cluster import ClusterError, nodes  # isort: skip

from ray import cloudpickle, tune
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from seqtune.sweep.execution.capacity import Capacity
from seqtune.sweep.execution.head_monitor import HeadLostError
from seqtune.sweep.execution.open_runs import Events, OpenRuns, Work
from seqtune.sweep.execution.worker import placement, train
from seqtune.sweep.planning.resource_checks import request_kinds
from seqtune.sweep.search.studies import Studies
from seqtune.training.measurement import METRICS, Measurement

# A worker that is lost is told in a line of ours; Tune tells it with tracebacks.
logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


def execute(studies: Studies, *, events: Events, fail_fast: bool = False) -> bool:
    """Runs everything that the studies propose, on the cluster that this process is connected to.

    SIGINT and SIGTERM end it early and in order: every run that was under way can be gone on with. So
    does the first run that fails or diverges, with `fail_fast`; returns whether one did.

    Raises:
        NoRoomError: if no node can hold a run of some kind, now or for too long.
        FileError: if nothing more can be written down, for a full disk or another driver; what was under way
            can be gone on with.
        ClusterError: if the cluster is lost.
    """
    resources = studies.plan.sweep.resources
    asked = request_kinds(resources, cells=studies.plan.cells)
    room = Capacity(nodes, kinds=asked, wait_seconds=resources.wait_seconds)
    sitting = OpenRuns(studies, events=events, room=room, fail_fast=fail_fast)
    with sitting.interruptible():
        while not sitting.over:
            watch = _Watch(sitting)
            try:
                _fit(watch)
            except HeadLostError as lost:
                raise ClusterError(str(lost)) from None
            except (RuntimeError, tune.TuneError) as error:
                if not isinstance(error.__cause__, RayError):
                    raise
                # Tune knows a worker that died, but not one that Ray's memory monitor ended: it gives up
                # everything then. The run directories know better.
                low = isinstance(error.__cause__, OutOfMemoryError)
                sitting.broke(watch.named(str(error)), low_on_memory=low)
    if sitting.stuck is not None:
        raise sitting.stuck
    if sitting.wrong is not None:
        raise sitting.wrong
    return sitting.halted


def _fit(watch: "_Watch") -> None:
    """One Tune experiment: until the sitting is over, or Tune breaks."""
    with tempfile.TemporaryDirectory(prefix="seqtune-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(train, placement),
            tune_config=tune.TuneConfig(
                search_alg=_Searcher(watch),
                scheduler=_Scheduler(watch),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=lambda trial: trial.config["run"],
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                stop=_Stopper(watch.sitting),
                callbacks=[watch, _Quiet()],
            ),
        ).fit()


def _config(work: Work, *, studies: Studies) -> dict[str, Any]:
    """What a worker is told of its run: plain data."""
    proposal, sweep = work.proposal, studies.plan.sweep
    return {
        "run": proposal.name,
        "directory": str(studies.directory(proposal).path),
        "spec": json.dumps(proposal.spec.to_data()),
        "metric": sweep.metric,
        "sweep": studies.place(proposal),
        "limits": sweep.limits.to_data(),
        "keep": sweep.keep,
        "bundle": work.request.bundle(),
    }


class _Searcher(Searcher):
    def __init__(self, watch: "_Watch") -> None:
        super().__init__()
        self._watch = watch
        self._sitting = watch.sitting

    def suggest(self, trial_id: str) -> Any:
        work = self._sitting.begin(trial_id)
        if work is None:
            return Searcher.FINISHED if self._sitting.over else None
        return _config(work, studies=self._sitting.studies)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        raised = self._watch.raised(trial_id) if error else None
        self._sitting.ended(trial_id, error=error, raised=raised)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the studies and the run directories are the memory."""

    def restore(self, checkpoint_path: str) -> None:
        raise RuntimeError("a sweep goes on from its run directories, never from Ray's snapshots")


class _Scheduler(FIFOScheduler):
    def __init__(self, watch: "_Watch") -> None:
        super().__init__()
        self._watch = watch

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._watch.controller = tune_controller
        self._watch.trials[trial.trial_id] = trial

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        measurement = Measurement(
            epoch=result["epoch"],
            step=result["step"],
            tokens=result["tokens"],
            seconds=result["seconds"],
            metrics={name: result[name] for name in METRICS if name in result},
        )
        stop = self._watch.sitting.judge(trial.trial_id, measurement)
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE


class _Stopper(tune.Stopper):
    def __init__(self, sitting: OpenRuns) -> None:
        self._sitting = sitting

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._sitting.interrupted


class _Watch(tune.Callback):
    """Looks after the trials of one Tune experiment.

    Attributes:
        trials: those under way, by number.
        controller: Tune's, once it has a trial.
    """

    def __init__(self, sitting: OpenRuns) -> None:
        self.sitting = sitting
        self.trials: dict[str, Any] = {}
        self.controller: Any = None
        self._ended: dict[str, Any] = {}
        self._workers: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as a sitting."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._workers[trial.trial_id] = trial.temporary_state.ray_actor._actor_id.hex()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        for name in self.trials.keys() - set(self.sitting.open):
            self._ended[name] = self.trials.pop(name)
        self._ended = {
            name: trial
            for name, trial in self._ended.items()
            if not _forgotten(trial, by=self.controller)
        }
        for name, trial in self.trials.items():
            # Where a worker could not be used again, Tune marks the next run in it as failed and tells nobody.
            if trial.status == "ERROR":
                self.sitting.ended(name, error=True, raised=self.raised(name))
        self.sitting.check()
        self.sitting.tick()

    def raised(self, name: str) -> BaseException | None:
        """What a trial's worker raised; None if that is not known, as when it died."""
        trial = self.trials.get(name)
        # Where Tune writes it at once; what `get_pickled_error` reads is a copy that is made later.
        path = trial.pickled_error_file if trial is not None else None
        if path is None:
            return None
        error = cloudpickle.loads(Path(path).read_bytes())
        return error.cause if isinstance(error, RayTaskError) else error

    def named(self, text: str) -> set[str]:
        """The open trials whose workers an error of Ray's names."""
        return {
            name
            for name in self.sitting.open
            if name in self._workers and self._workers[name] in text
        }


class _Quiet(TrialProgressCallback):
    """In the place of Tune's own, which prints nothing here and yet remembers every trial."""

    def log_result(self, trial: Any, result: dict[str, Any], error: bool = False) -> None:
        """Nothing: a sitting's events are what a person sees."""

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Nothing."""


def _forgotten(trial: Any, *, by: Any) -> bool:
    """Takes a trial out of the controller that is done with it; False while it is not.

    Tune keeps every trial that it ever had, with its state as text, and looks through all of them at every
    step; nobody reads them.
    """
    if not trial.is_finished() or trial in by._trial_to_actor:
        return False
    by._trials.remove(trial)
    by._trials_to_cache.discard(trial)
    by._trial_metadata.pop(trial.trial_id, None)
    by._stopped_trials.discard(trial)
    by._failed_trials.discard(trial)
    return True
