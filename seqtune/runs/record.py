"""A run, recorded: trains what a spec describes and writes its directory as it goes."""

import errno
import os
import traceback
from collections.abc import Callable, Generator, Mapping
from typing import Any

from seqtune.config.errors import SpecError
from seqtune.config.yaml_file import FileError
from seqtune.runs.build import DeviceError, choose_device
from seqtune.runs.directory import RunDirectory
from seqtune.runs.limits import NO_LIMITS_GIVEN, Keep, Limits
from seqtune.runs.run_session import CHANGED_DATA, OvertimeError, RunSession
from seqtune.runs.spec import RunSpec
from seqtune.storage.full_disk import disk_is_full
from seqtune.tasks.build import build_task
from seqtune.training import checkpoint
from seqtune.training.measurement import DivergedError, Measurement, Progress
from seqtune.training.micro_batch import out_of_memory


def record(
    spec: RunSpec,
    *,
    directory: RunDirectory,
    metric: str = "valid/loss",
    sweep: Mapping[str, Any] | None = None,
    note: str = "",
    limits: Limits = NO_LIMITS_GIVEN,
    keep: Keep = "best",
    heartbeat: Callable[[Progress], None] | None = None,
    node: str | None = None,
) -> Generator[Measurement, None, None]:
    """Trains and records; yields every measurement of this sitting, once it is safely on disk.

    A run that was interrupted goes on from its checkpoint, a run that ended yields nothing. What goes
    wrong in the run is data: it ends with state `diverged` or `failed`, the reason beginning with a word
    of `CAUSES`, and its traceback in error.txt. Out of memory it goes on once, from its last epoch, with
    half as many strings at a time. Closing the generator leaves the run `running`, to be gone on with or
    ended by whoever closed it.

    Args:
        spec: what to run.
        directory: where; another spec's directory is refused by its checkpoint's and run.json's hash.
        metric: the best weights are those with its best value.
        sweep: the run's place in a sweep, kept in run.json.
        note: a sentence for the model card.
        limits: when it is ended though it could go on.
        keep: which weights stay: the best ones by `metric`, the last ones, or none.
        heartbeat: called about twice a second while training.
        node: where this is, for run.json; the machine's name by default.

    Raises:
        RunInUseError: if another process is writing the directory.
        OSError: if the disk is full; the run is `running` then, and goes on once there is room.
    """
    with directory.lock():
        if not directory.exists():
            directory.create({"hash": spec.hash(), "spec": spec.to_data(), "sweep": sweep})
        info = directory.info()
        assert info["hash"] == spec.hash(), f"{directory.path} holds run {info['hash']}"
        if info["state"] != "running":
            return
        recording = RunSession(
            spec,
            directory=directory,
            metric=metric,
            note=note,
            limits=limits,
            keep=keep,
            heartbeat=heartbeat,
            node=node,
        )
        try:
            yield from recording.go_on()
        except DivergedError as error:
            directory.end("diverged", reason=str(error))
        except OvertimeError as error:
            directory.end("failed", reason=f"timeout: {error}")
        except Exception as error:
            if disk_is_full(error):
                # Nothing is wrong with the run, and its directory cannot be told anything. What the system
                # says of a write names no file; a person has to know where room is needed.
                place = str(directory.path)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place) from error
            # The one place where any exception is caught: here it becomes the run's result.
            cause = "oom" if out_of_memory(error) else f"error: {type(error).__name__}"
            line = (str(error).splitlines() or [""])[0]
            directory.end("failed", reason=f"{cause}: {line}", error=traceback.format_exc())
        else:
            directory.end("finished")


def check_startable(spec: RunSpec, *, directory: RunDirectory) -> None:
    """Makes sure that a run can begin or go on here and now, before anything is written.

    Raises:
        SpecError: if its device is not here, or cannot train it in its precision.
        FileError: if its data or its checkpoint are not what they were.
    """
    try:
        device = choose_device(spec)
    except DeviceError as error:
        raise SpecError([error.problem]) from None
    if not directory.exists() or directory.info()["state"] != "running":
        return
    known, found = directory.info().get("data_hash"), build_task(spec.task).data_hash
    if known not in (None, found):
        raise FileError(
            f"{directory.path}: {CHANGED_DATA}: {known}, {found}; put them back, or give another --out"
        )
    if directory.checkpoint.exists():
        try:
            checkpoint.load(directory.checkpoint, run=spec.hash(), device=device)
        except checkpoint.CheckpointError as error:
            raise FileError(f"{error}; move it away to begin the run anew") from None
