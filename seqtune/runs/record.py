"""Train a run and record it in its directory, measurement by measurement."""

import errno
import os
import traceback
from collections.abc import Callable, Generator, Mapping
from typing import Any

from seqtune.config.errors import SpecError
from seqtune.config.yaml_file import FileError
from seqtune.runs.build import DeviceError, choose_device
from seqtune.runs.directory import RunDirectory
from seqtune.runs.run_session import CHANGED_DATA, OvertimeError, RunSession
from seqtune.runs.spec import DEFAULT_LIMITS, Keep, Limits, RunSpec
from seqtune.storage.full_disk import disk_is_full
from seqtune.tasks.build import build_task
from seqtune.training import checkpoint
from seqtune.training.device import is_out_of_memory
from seqtune.training.measurement import DivergedError, Measurement, Progress


def record(
    spec: RunSpec,
    *,
    directory: RunDirectory,
    metric: str = "valid/loss",
    sweep: Mapping[str, Any] | None = None,
    note: str = "",
    limits: Limits = DEFAULT_LIMITS,
    keep: Keep = "best",
    heartbeat: Callable[[Progress], None] | None = None,
    node: str | None = None,
) -> Generator[Measurement, None, None]:
    """Train a run and record it; yield every measurement once it is safely on disk.

    An interrupted run resumes from its checkpoint, and a run that has ended yields nothing.
    Failures are data: the run ends with state `diverged` or `failed`, a reason that begins with a
    word of `CAUSES`, and a traceback in error.txt. A run that is out of memory resumes once from
    its last epoch, in micro-batches of half the size. Closing the generator leaves the run
    `running`; the caller may end it, or resume it later.

    Args:
        spec: the run.
        directory: the run's directory; it must not hold another run.
        metric: the weights with the best value of this metric are kept.
        sweep: the run's position in a sweep, for run.json.
        note: a sentence for the model card.
        limits: limits after which the run is ended.
        keep: which weights stay on disk.
        heartbeat: called about twice a second while training.
        node: name of this machine for run.json; its host name by default.

    Raises:
        RunInUseError: if another process is writing the directory.
        OSError: if the disk is full; the run stays `running` and can be resumed.
    """
    with directory.lock():
        if not directory.exists():
            directory.create({"hash": spec.hash(), "spec": spec.to_data(), "sweep": sweep})
        info = directory.info()
        assert info["hash"] == spec.hash(), f"{directory.path} holds run {info['hash']}"
        if info["state"] != "running":
            return
        session = RunSession(
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
            yield from session.run()
        except DivergedError as error:
            directory.end("diverged", reason=str(error))
        except OvertimeError as error:
            directory.end("failed", reason=f"timeout: {error}")
        except Exception as error:
            if disk_is_full(error):
                # The run is not at fault, and nothing can be written to its directory. The error
                # of a write names no file, but users must know which disk needs space.
                path = str(directory.path)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path) from error
            # Every other exception becomes the run's result, so that a sweep goes on.
            cause = "oom" if is_out_of_memory(error) else f"error: {type(error).__name__}"
            line = (str(error).splitlines() or [""])[0]
            directory.end("failed", reason=f"{cause}: {line}", error=traceback.format_exc())
        else:
            directory.end("finished")


def check_startable(spec: RunSpec, *, directory: RunDirectory) -> None:
    """Check that a run can start or resume on this machine, before anything is written.

    Raises:
        SpecError: if its device is missing, or cannot train the model in its precision.
        FileError: if its data have changed, or its checkpoint cannot be used.
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
            f"{directory.path}: {CHANGED_DATA}: {known}, {found}; restore them, or give another "
            "--out"
        )
    if directory.checkpoint.exists():
        try:
            checkpoint.load(directory.checkpoint, run=spec.hash(), device=device)
        except checkpoint.CheckpointError as error:
            raise FileError(f"{error}; move it away to start the run over") from None
