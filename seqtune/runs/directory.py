"""Run directories: the files of one run, the same for single runs and runs of a sweep.

    run.json           spec, hash, state, position in a sweep, versions, device; for an audit,
                       when it would have been stopped
    measurements.csv   one row per evaluation
    generated.json     what the model generated after its last epoch: scores by test set, samples
    evaluation.json    results of `seqtune evaluate`, one entry per set of changes
    probes*.csv        results of `seqtune probe` with their figure, one file per set of changes
    model_card.md      the model, for readers
    checkpoint.pt      training state to resume from; removed once the run has ended
    model.safetensors  best weights so far
    error.txt          traceback, only if the run failed
    events.out.tfevents.*    TensorBoard: curves, and the HParams row (see `runs.tensorboard`)

Files are replaced atomically or appended to in one write, so that readers, and a run that resumes
after a kill, find the old content or the new. A run trains on local files. If its directory is a
URL, the worker trains in a `Mirror`, while others read it, and end it, at the URL itself.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from filelock import FileLock, Timeout

from seqtune.config.yaml_file import FileError
from seqtune.runs import tensorboard
from seqtune.storage.files import brief, make_directory, read_json, replace_text
from seqtune.storage.mirror import RunInUseError
from seqtune.training.measurement import METRICS, Measurement

State: TypeAlias = Literal["running", "finished", "stopped", "diverged", "failed"]
STATES: tuple[State, ...] = ("running", "finished", "stopped", "diverged", "failed")
CAUSES = ("oom", "timeout", "error", "lost")
"""First word of a failed run's reason: out of memory, too slow, exception, worker or node lost."""
COLUMNS = ("epoch", "step", "tokens", "seconds", *METRICS)
LOCK_SECONDS = 20.0
"""How long to wait for the lock of a run; a killed process's worker may hold it for some time."""
MOVE_AWAY = "; move that directory away to repeat the run"
"""Ends the message about a run directory that is damaged."""


class RunDirectory:
    """The directory of one run."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # A URL's path is neither a string nor `os.PathLike`; see `storage.location`.
        self.path = Path(path).absolute() if isinstance(path, str | os.PathLike) else path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def weights(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def generated(self) -> Path:
        return self.path / "generated.json"

    @property
    def evaluation(self) -> Path:
        return self.path / "evaluation.json"

    @property
    def error(self) -> Path:
        return self.path / "error.txt"

    def exists(self) -> bool:
        """Return whether the directory holds a run."""
        return (self.path / "run.json").exists()

    def create(self, info: Mapping[str, Any]) -> None:
        """Create the directory of a new run: state `running`, no measurements.

        Args:
            info: fields of run.json, `hash` and `spec` at least.
        """
        make_directory(self.path)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        data = {"run": self.name, "state": "running", "reason": None, "created": now, **info}
        tensorboard.write_start(self.path, info=data)
        self._write_info(data)

    def info(self) -> dict[str, Any]:
        """Read run.json, which holds `state`, `reason`, `hash` and `spec` at least.

        Raises:
            FileError: if it is not a JSON object, or one of these fields is missing or invalid.
        """
        path = self.path / "run.json"
        try:
            found = read_json(path)
        except FileError as error:
            raise FileError(f"{error}{MOVE_AWAY}") from None
        for field, (must, is_valid) in _FIELDS.items():
            if field not in found or not is_valid(found[field]):
                but = f"got {brief(found[field])}" if field in found else "is missing"
                raise FileError(f"{path}: {field} must be {must}, but {but}{MOVE_AWAY}")
        return found

    def update(self, changes: Mapping[str, Any]) -> None:
        """Replace fields of run.json."""
        self._write_info({**self.info(), **changes})

    def end(self, state: State, *, reason: str | None = None, error: str | None = None) -> None:
        """Record how the run ended, and remove its checkpoint unless a retry could resume it.

        Args:
            state: a final state.
            reason: why, in one line; of a failed run it begins with a word of `CAUSES`.
            error: the traceback of a failed run.
        """
        if error is not None:
            replace_text(self.error, error)
        tensorboard.write_end(self.path, info=self.info(), state=state)
        self.update({"state": state, "reason": reason})
        if state != "failed":
            self.checkpoint.unlink(missing_ok=True)

    def reopen(self) -> None:
        """Set the run to `running` again: a failed one resumes, a diverged one starts over."""
        info = self.info()
        self.error.unlink(missing_ok=True)
        tensorboard.remove_end(self.path)
        if info["state"] != "failed":
            self.checkpoint.unlink(missing_ok=True)
        self.update(
            {"state": "running", "reason": None, "micro_batch": None, "low_on_memory": False}
        )

    def append(self, measurement: Measurement) -> None:
        """Append a row to measurements.csv."""
        path = self.path / "measurements.csv"
        header = "" if path.exists() else ",".join(COLUMNS) + "\n"
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(header + _row(measurement))

    def measurements(self) -> list[Measurement]:
        """Read all measurements, without a last line that a kill cut short."""
        path = self.path / "measurements.csv"
        if not path.exists():
            return []
        whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
        return [_measurement(row) for row in csv.DictReader(io.StringIO(whole))]

    def rewind(self, last: Measurement | None) -> None:
        """Drop the rows from the epoch of `last` on, and write `last`; None drops all rows."""
        earlier = [] if last is None else [m for m in self.measurements() if m.epoch < last.epoch]
        kept = earlier if last is None else [*earlier, last]
        text = ",".join(COLUMNS) + "\n" + "".join(_row(measurement) for measurement in kept)
        replace_text(self.path / "measurements.csv", text)

    def write_generated(self, epoch: int, *, found: Mapping[str, Any]) -> None:
        """Replace generated.json by the results after an epoch."""
        replace_text(self.generated, json.dumps({"epoch": epoch, **found}) + "\n")

    def evaluations(self) -> list[dict[str, Any]]:
        """Read the entries of evaluation.json, each with the changes (`set`) that it is for.

        Raises:
            FileError: if the file holds anything else.
        """
        if not self.evaluation.exists():
            return []
        entries = read_json(self.evaluation).get("evaluations")
        if not isinstance(entries, list) or not all(
            isinstance(each, dict) and "set" in each for each in entries
        ):
            raise FileError(
                f"{self.evaluation}: must hold a list of evaluations; move it away to start a "
                "new one"
            )
        return entries

    def write_card(self, text: str) -> None:
        """Write model_card.md."""
        replace_text(self.path / "model_card.md", text)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the run against other processes; the system releases the lock if we die.

        Raises:
            RunInUseError: if another process holds it for longer than `LOCK_SECONDS`.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise RunInUseError(
                f"{self.path}: another process is writing this run; wait for it, or give another "
                "--out"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _write_info(self, info: Mapping[str, Any]) -> None:
        replace_text(self.path / "run.json", json.dumps(info, indent=2) + "\n")


_FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "state": (f"one of {', '.join(STATES)}", lambda value: value in STATES),
    "reason": ("text or null", lambda value: value is None or isinstance(value, str)),
    "hash": ("text", lambda value: isinstance(value, str)),
    "spec": ("a JSON object", lambda value: isinstance(value, dict)),
}
"""Required fields of run.json: what must hold, in words and as a predicate."""


def cause(info: Mapping[str, Any]) -> str:
    """Return a run's state, or the word of `CAUSES` if it failed."""
    if info["state"] != "failed":
        return str(info["state"])
    word = (info["reason"] or "").partition(":")[0]
    return word if word in CAUSES else "error"


def run_directories(root: Path) -> list[RunDirectory]:
    """Return the runs directly below `root`, sorted by name."""
    if not root.is_dir():
        return []
    found = [RunDirectory(path) for path in sorted(root.iterdir()) if path.is_dir()]
    return [directory for directory in found if directory.exists()]


def _row(measurement: Measurement) -> str:
    head = (measurement.epoch, measurement.step, measurement.tokens, f"{measurement.seconds:.3f}")
    metrics = (measurement.metrics.get(name, "") for name in METRICS)
    return ",".join(str(value) for value in (*head, *metrics)) + "\n"


def _measurement(row: Mapping[str, str]) -> Measurement:
    return Measurement(
        epoch=int(row["epoch"]),
        step=int(row["step"]),
        tokens=int(row["tokens"]),
        seconds=float(row["seconds"]),
        metrics={name: float(row[name]) for name in METRICS if row.get(name)},
    )
