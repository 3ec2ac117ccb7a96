"""The run directory: all that is known of one run, the same whoever made it.

    run.json           spec, hash, state, place in a sweep, versions, device; of an audit, when it was stopped
    measurements.csv   a row an evaluation
    generated.json     what the model generated after its last epoch: scores by test set, samples
    evaluation.json    what `seqtune evaluate` found, an entry for each set of changes that it was asked with
    probes*.csv        what `seqtune probe` found, with its figure: files for each set of changes
    model_card.md      what the model is, for a reader
    checkpoint.pt      where to go on; gone once the run has ended
    model.safetensors  best weights so far
    error.txt          only when it failed
    events.out.tfevents.*    TensorBoard's: its curves, and the two files of `session.py`

A file is replaced whole or appended to by one write, so that a reader and a run that goes on after a
kill find either the old or the new. A run is written on the machine where it trains; its directory may be a
URL, and then `working_copy` brings it there and back, and others read it and end it where it is.
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
from seqtune.runs import hparams
from seqtune.storage.files import brief, make_directory, read_json, replace_text
from seqtune.training.measurement import METRICS, Measurement

State: TypeAlias = Literal["running", "finished", "stopped", "diverged", "failed"]
STATES: tuple[State, ...] = ("running", "finished", "stopped", "diverged", "failed")
CAUSES = ("oom", "timeout", "error", "lost")
"""What the reason of a failed run begins with: out of memory, too long, an exception, its worker or node gone."""
COLUMNS = ("epoch", "step", "tokens", "seconds", *METRICS)
LOCK_SECONDS = 20.0
"""How long to wait for a killed process's worker to let go of its run."""
AGAIN = "; move that directory away to have the run done again"
"""What helps where a run directory does not hold what it must."""


class RunInUseError(RuntimeError):
    """Another process is writing the run."""


class RunDirectory:
    """One run's directory; made by `create`, found again by its path."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # A URL's place is neither: see `place`.
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
        """Whether a run was ever started here."""
        return (self.path / "run.json").exists()

    def create(self, info: Mapping[str, Any]) -> None:
        """Makes the directory of a new run and says what it is: state `running`, nothing measured."""
        make_directory(self.path)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        about = {"run": self.name, "state": "running", "reason": None, "created": now, **info}
        hparams.begin(self.path, info=about)
        self._write_info(about)

    def info(self) -> dict[str, Any]:
        """What run.json holds: `state`, `reason`, `hash` and `spec` at least.

        Raises:
            FileError: if it is no JSON object, or one of these is not what it must be.
        """
        path = self.path / "run.json"
        try:
            found = read_json(path)
        except FileError as error:
            raise FileError(f"{error}{AGAIN}") from None
        for field, (must, right) in _FIELDS.items():
            if field not in found or not right(found[field]):
                what = f"got {brief(found[field])}" if field in found else "is not there"
                raise FileError(f"{path}: {field} must be {must}, but {what}{AGAIN}")
        return found

    def update(self, changes: Mapping[str, Any]) -> None:
        """Replaces fields of run.json."""
        self._write_info({**self.info(), **changes})

    def end(self, state: State, *, reason: str | None = None, error: str | None = None) -> None:
        """Notes how the run ended; its checkpoint goes, unless it failed for what may pass."""
        if error is not None:
            replace_text(self.error, error)
        hparams.end(self.path, info=self.info(), state=state)
        self.update({"state": state, "reason": reason})
        if state != "failed":
            self.checkpoint.unlink(missing_ok=True)

    def reopen(self) -> None:
        """Lets a run that failed go on from its checkpoint, and one that diverged begin anew."""
        info = self.info()
        self.error.unlink(missing_ok=True)
        hparams.take_back_end(self.path)
        if info["state"] != "failed":
            self.checkpoint.unlink(missing_ok=True)
        self.update(
            {"state": "running", "reason": None, "micro_batch": None, "low_on_memory": False}
        )

    def append(self, measurement: Measurement) -> None:
        """Adds a row to measurements.csv."""
        path = self.path / "measurements.csv"
        header = "" if path.exists() else ",".join(COLUMNS) + "\n"
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(header + _row(measurement))

    def measurements(self) -> list[Measurement]:
        """Every measurement so far; a last line that a kill cut short is left out."""
        path = self.path / "measurements.csv"
        if not path.exists():
            return []
        whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
        return [_measurement(row) for row in csv.DictReader(io.StringIO(whole))]

    def rewind(self, last: Measurement | None) -> None:
        """Makes `last` the last row: rows from its epoch on are dropped, and it is written."""
        earlier = [] if last is None else [m for m in self.measurements() if m.epoch < last.epoch]
        kept = earlier if last is None else [*earlier, last]
        text = ",".join(COLUMNS) + "\n" + "".join(_row(measurement) for measurement in kept)
        replace_text(self.path / "measurements.csv", text)

    def write_generated(self, epoch: int, *, found: Mapping[str, Any]) -> None:
        """Replaces generated.json by what was found after an epoch."""
        replace_text(self.generated, json.dumps({"epoch": epoch, **found}) + "\n")

    def evaluations(self) -> list[dict[str, Any]]:
        """The entries of evaluation.json, each with what was `set` for it; a FileError if it holds others."""
        if not self.evaluation.exists():
            return []
        entries = read_json(self.evaluation).get("evaluations")
        if not isinstance(entries, list) or not all(
            isinstance(each, dict) and "set" in each for each in entries
        ):
            raise FileError(
                f"{self.evaluation}: must hold a list of evaluations; move it away to begin another"
            )
        return entries

    def write_card(self, text: str) -> None:
        """Writes model_card.md."""
        replace_text(self.path / "model_card.md", text)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps every other process from writing this run; let go by the system when we die.

        Raises:
            RunInUseError: if another process holds it for longer than `LOCK_SECONDS`.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise RunInUseError(
                f"{self.path}: another process is writing this run; wait for it, or give another --out"
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
"""What commands read of every run.json: what must hold, in words and as a test."""


def cause(info: Mapping[str, Any]) -> str:
    """How a run ended, in a word: its state, or of a failed one which of `CAUSES`."""
    if info["state"] != "failed":
        return str(info["state"])
    word = (info["reason"] or "").partition(":")[0]
    return word if word in CAUSES else "error"


def run_directories(root: Path) -> list[RunDirectory]:
    """The runs directly below `root`, by name."""
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
