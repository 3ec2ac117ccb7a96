"""Ray Tune executes: it places the studies' proposals on workers and returns their measurements.

A searcher asks for the next run, a scheduler passes measurements on and stops trials, a callback
watches them. Ray keeps no results and restarts nothing by itself: results are read from the run
directories, a run whose worker was lost resumes as a new trial, and every Tune experiment is a
fresh one.
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
from seqtune.sweep.planning.plan import request_kinds
from seqtune.sweep.search.studies import Studies
from seqtune.training.measurement import METRICS, Measurement

# We report a lost worker in one line; Tune would print tracebacks.
logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


def execute(studies: Studies, *, events: Events, fail_fast: bool = False) -> bool:
    """Run everything that the studies propose, on the cluster that this process is connected to.

    SIGINT and SIGTERM end it early and in order: every run in flight can be resumed. With
    `fail_fast` so does the first run that fails or diverges; returns whether one did.

    Raises:
        CapacityError: if no node can hold a run of some kind, now or for too long.
        FileError: if nothing more can be written, because a disk is full or another driver took
            over; the same command resumes the sweep.
        ClusterError: if the cluster is lost.
    """
    resources = studies.plan.sweep.resources
    kinds = request_kinds(resources, cells=studies.plan.cells)
    capacity = Capacity(nodes, kinds=kinds, wait_seconds=resources.wait_seconds)
    runs = OpenRuns(studies, events=events, capacity=capacity, fail_fast=fail_fast)
    with runs.interruptible():
        while not runs.over:
            watch = _Watch(runs)
            try:
                _fit(watch)
            except HeadLostError as lost:
                raise ClusterError(str(lost)) from None
            except (RuntimeError, tune.TuneError) as error:
                if not isinstance(error.__cause__, RayError):
                    raise
                # Tune survives a worker that died, but not one that Ray's memory monitor killed: it
                # gives up the whole experiment. The run directories say what can be resumed.
                low = isinstance(error.__cause__, OutOfMemoryError)
                runs.on_experiment_failure(watch.named_in(str(error)), low_on_memory=low)
    if runs.no_capacity is not None:
        raise runs.no_capacity
    if runs.write_error is not None:
        raise runs.write_error
    return runs.halted


def _fit(watch: "_Watch") -> None:
    """Run one Tune experiment, until the session is over or Tune fails."""
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
                stop=_Stopper(watch.runs),
                callbacks=[watch, _Quiet()],
            ),
        ).fit()


def _config(work: Work, *, studies: Studies) -> dict[str, Any]:
    """What a worker needs to know of its run, as plain data."""
    proposal, sweep = work.proposal, studies.plan.sweep
    return {
        "run": proposal.name,
        "directory": str(studies.directory(proposal).path),
        "spec": json.dumps(proposal.spec.to_data()),
        "metric": sweep.metric,
        "sweep": studies.position(proposal),
        "limits": sweep.limits.to_data(),
        "keep": sweep.keep,
        "bundle": work.request.bundle(),
    }


class _Searcher(Searcher):
    def __init__(self, watch: "_Watch") -> None:
        super().__init__()
        self._watch = watch
        self._runs = watch.runs

    def suggest(self, trial_id: str) -> Any:
        work = self._runs.start(trial_id)
        if work is None:
            return Searcher.FINISHED if self._runs.over else None
        return _config(work, studies=self._runs.studies)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        raised = self._watch.raised(trial_id) if error else None
        self._runs.on_end(trial_id, error=error, raised=raised)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: studies and run directories are the only state."""

    def restore(self, checkpoint_path: str) -> None:
        raise RuntimeError("a sweep resumes from its run directories, not from Ray's snapshots")


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
        stop = self._watch.runs.on_measurement(trial.trial_id, measurement)
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE


class _Stopper(tune.Stopper):
    def __init__(self, runs: OpenRuns) -> None:
        self._runs = runs

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._runs.interrupted


class _Watch(tune.Callback):
    """Watches the trials of one Tune experiment.

    Attributes:
        trials: those in flight, by id.
        controller: Tune's, once it has a trial.
    """

    def __init__(self, runs: OpenRuns) -> None:
        self.runs = runs
        self.trials: dict[str, Any] = {}
        self.controller: Any = None
        self._ended: dict[str, Any] = {}
        self._workers: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing, like `OpenRuns`."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._workers[trial.trial_id] = trial.temporary_state.ray_actor._actor_id.hex()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        for name in self.trials.keys() - set(self.runs.open):
            self._ended[name] = self.trials.pop(name)
        self._ended = {
            name: trial
            for name, trial in self._ended.items()
            if not _forget(trial, controller=self.controller)
        }
        for name, trial in self.trials.items():
            # If a worker cannot be reused, Tune marks its next trial as failed without a callback.
            if trial.status == "ERROR":
                self.runs.on_end(name, error=True, raised=self.raised(name))
        self.runs.check_capacity()
        self.runs.tick()

    def raised(self, name: str) -> BaseException | None:
        """Return what a trial's worker raised; None if unknown, as when it died."""
        trial = self.trials.get(name)
        # Tune writes this file at once; `get_pickled_error` reads a copy that is made later.
        path = trial.pickled_error_file if trial is not None else None
        if path is None:
            return None
        error = cloudpickle.loads(Path(path).read_bytes())
        return error.cause if isinstance(error, RayTaskError) else error

    def named_in(self, text: str) -> set[str]:
        """Return the trials in flight whose workers are named in an error message of Ray."""
        return {
            name for name in self.runs.open if name in self._workers and self._workers[name] in text
        }


class _Quiet(TrialProgressCallback):
    """Replaces Tune's own reporter, which would keep every trial in memory."""

    def log_result(self, trial: Any, result: dict[str, Any], error: bool = False) -> None:
        """Do nothing: the live table reports."""

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Do nothing."""


def _forget(trial: Any, *, controller: Any) -> bool:
    """Remove a finished trial from Tune's controller; return False while it is still needed.

    Tune keeps every trial and loops over all of them at every step, so a long sweep would get
    slower and slower.
    """
    if not trial.is_finished() or trial in controller._trial_to_actor:
        return False
    controller._trials.remove(trial)
    controller._trials_to_cache.discard(trial)
    controller._trial_metadata.pop(trial.trial_id, None)
    controller._stopped_trials.discard(trial)
    controller._failed_trials.discard(trial)
    return True
