"""measurements.csv as a table of numbers: what thousands of runs measured, in little memory and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqtune.source import FileError

INDEX = ("epoch", "step", "tokens", "seconds")


@dataclass(frozen=True, eq=False)
class Measured:
    """A run's measurements.

    Attributes:
        index: [rows, 4] epoch, step, tokens and seconds of each.
        metrics: the names of the columns of `values`.
        values: [rows, metrics]; NaN where nothing was measured, or what was measured is none.
        given: [rows, metrics] whether something was.
    """

    index: npt.NDArray[np.float64]
    metrics: tuple[str, ...]
    values: npt.NDArray[np.float64]
    given: npt.NDArray[np.bool_]

    @property
    def found(self) -> list[str]:
        """The metrics that were measured at all."""
        return [self.metrics[column] for column in np.flatnonzero(self.given.any(axis=0))]

    def curve(self, metric: str) -> list[float]:
        """A metric after each epoch in which it was measured."""
        if metric not in self.metrics:
            return []
        column = self.metrics.index(metric)
        return [float(value) for value in self.values[self.given[:, column], column]]


def read(path: Path) -> Measured:
    """Reads a run's measurements; a last line that a kill cut short is left out, and so is a missing file.

    Raises:
        FileError: if a line does not hold what the first one names, or no number.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    header, *lines = text[: text.rfind("\n") + 1].splitlines() or [",".join(INDEX)]
    names = header.split(",")
    rows = [line.split(",") for line in lines]
    wrong = next(
        (number for number, row in enumerate(rows, start=2) if len(row) != len(names)), None
    )
    if wrong is not None or tuple(names[: len(INDEX)]) != INDEX:
        raise FileError(f"{path}:{wrong or 1}: is no line of measurements")
    try:
        table = _numbers(rows, columns=len(names))
    except ValueError as error:
        raise FileError(f"{path}: {error}") from None
    given = np.array([field != "" for row in rows for field in row], dtype=np.bool_)
    first = len(INDEX)
    return Measured(
        index=table[:, :first],
        metrics=tuple(names[first:]),
        values=table[:, first:],
        given=given.reshape(table.shape)[:, first:],
    )


def _numbers(rows: Sequence[Sequence[str]], *, columns: int) -> npt.NDArray[np.float64]:
    flat = [float(field) if field else np.nan for row in rows for field in row]
    return np.array(flat, dtype=np.float64).reshape(len(rows), columns)
