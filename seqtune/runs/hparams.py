"""A run among TensorBoard's hyperparameters (HParams): what was compared and tuned in it, and how it ended.

A session is two small event files in the run's directory, beside the curves: one from the run's beginning, one
from its end. So a run has its row though nothing was ever measured in it, one that still runs is in no end
state, and one that is begun again loses the end that it had: of what a file says of a session, TensorBoard keeps
the first.
"""

import json
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from seqtune.runs import event_files
from seqtune.storage.location import is_remote

STATUS = {
    "finished": "STATUS_SUCCESS",
    "stopped": "STATUS_UNKNOWN",
    "diverged": "STATUS_FAILURE",
    "failed": "STATUS_FAILURE",
}
"""TensorBoard's word for how a run ended. It has none for a run that was stopped for being worse than others."""
_BEGUN, _ENDED = "-begun", "~ended"
"""They sort before and after the names of machines: TensorBoard reads a run's files in the order of their names."""


def begin(directory: Path, *, info: Mapping[str, Any]) -> None:
    """Writes the row of a run: of a sweep's run alone, since no others were compared.

    Args:
        directory: the run's.
        info: what run.json is going to hold.
    """
    if info.get("sweep") is None:
        return
    pb = _plugin_data()
    began = datetime.fromisoformat(info["created"]).timestamp()
    start = pb.SessionStartInfo(start_time_secs=began)
    for name, value in hyperparameters(info).items():
        field = start.hparams[name]
        if isinstance(value, bool):
            field.bool_value = value
        elif isinstance(value, int | float):
            field.number_value = value
        else:
            field.string_value = value
    _write(directory, _BEGUN, data=pb.HParamsPluginData(session_start_info=start), seconds=began)


def end(directory: Path, *, info: Mapping[str, Any], state: str) -> None:
    """Writes how a run ended, in place of how it ended before."""
    if info.get("sweep") is None:
        return
    from tensorboard.plugins.hparams import api_pb2

    status: Any = api_pb2
    pb, now = _plugin_data(), time.time()
    take_back_end(directory)
    ended = pb.SessionEndInfo(status=status.Status.Value(STATUS[state]), end_time_secs=now)
    _write(directory, _ENDED, data=pb.HParamsPluginData(session_end_info=ended), seconds=now)


def take_back_end(directory: Path) -> None:
    """Forgets how a run ended: it goes on."""
    for path in directory.glob(f"events.out.{event_files.MARK}.*.{_ENDED}"):
        path.unlink()


def hyperparameters(info: Mapping[str, Any]) -> dict[str, bool | float | str]:
    """What tells a sweep's run from the others, by dotted path; null and whole blocks are text.

    Besides what is compared and tuned: its cell, its arm if it has one, its phase and its seed.
    """
    place = info["sweep"]
    given = {name: place.get(name) for name in ("arm", "cell", "phase")}
    named = {name: value for name, value in given.items() if value is not None}
    paths = {**(place.get("compared") or {}), **(place.get("tuned") or {})}
    shown = {path: _shown(value) for path, value in paths.items()}
    return {**named, **shown, "seed": info["spec"]["seed"]}


def _shown(value: Any) -> bool | float | str:
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)


def _plugin_data() -> Any:
    from tensorboard.plugins.hparams import plugin_data_pb2

    return plugin_data_pb2


def _write(directory: Path, part: str, *, data: Any, seconds: float) -> None:
    from tensorboard.plugins.hparams import metadata

    tag = {
        _BEGUN: metadata.SESSION_START_INFO_TAG,
        _ENDED: metadata.SESSION_END_INFO_TAG,
    }[part]
    data.version = metadata.PLUGIN_DATA_VERSION
    content = data.SerializeToString()
    event = event_files.about(tag, plugin=metadata.PLUGIN_NAME, content=content, time=seconds)
    path = directory / f"events.out.{event_files.MARK}.{int(seconds):010d}.{part}"
    _write_bytes(path, event_files.encoded([event], time=seconds))


def _write_bytes(path: Path, content: bytes) -> None:
    if is_remote(path):
        path.write_bytes(content)
        return
    try:
        path.write_bytes(content)
    except OSError as error:
        # A full disk does not say which file had no room.
        raise OSError(error.errno, error.strerror, str(path)) from error
