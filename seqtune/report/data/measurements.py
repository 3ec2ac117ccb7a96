"""Fast reading of measurements.csv of thousands of runs.

Many files are parsed as one by pyarrow, which takes a third of the time. If that fails, they are
read again one by one, so that an error names the file and the line.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow
from pyarrow import csv

from seqtune.config.yaml_file import FileError
from seqtune.runs.directory import MOVE_AWAY

INDEX = ("epoch", "step", "tokens", "seconds")
TOGETHER = 500
"""Files that are parsed as one: about 10 MB."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A run's measurements.

    Attributes:
        index: [rows, 4] epoch, step, tokens and seconds.
        metrics: names of the columns of `values`.
        values: [rows, metrics]; NaN where nothing was measured, or NaN was.
        given: [rows, metrics] whether a value was measured.
    """

    index: npt.NDArray[np.float64]
    metrics: tuple[str, ...]
    values: npt.NDArray[np.float64]
    given: npt.NDArray[np.bool_]

    @property
    def found(self) -> list[str]:
        """The metrics with at least one value."""
        return [self.metrics[column] for column in np.flatnonzero(self.given.any(axis=0))]

    def curve(self, metric: str) -> list[float]:
        """Return a metric's values, in the order of epochs, where it was measured."""
        if metric not in self.metrics:
            return []
        column = self.metrics.index(metric)
        return [float(value) for value in self.values[self.given[:, column], column]]


@dataclass(frozen=True)
class _Source:
    """A file's header and complete lines."""

    path: Path
    header: str
    body: str


def read(path: Path) -> Measured:
    """Read a run's measurements; an incomplete last line is dropped, and a missing file is empty.

    Raises:
        FileError: if a line does not match the header, or a field is not a number.
    """
    return _parse(_source(path))


def read_all(paths: Iterable[Path]) -> list[Measured]:
    """Read the measurements of many runs, as `read` does.

    Raises:
        FileError: if a line does not match the header, or a field is not a number.
    """
    sources = enumerate(map(_source, paths))
    groups = groupby(sources, key=lambda each: (each[0] // TOGETHER, each[1].header))
    return [
        table for _, group in groups for table in _parse_together([source for _, source in group])
    ]


def _source(path: Path) -> _Source:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    header, _, body = text[: text.rfind("\n") + 1].partition("\n")
    return _Source(path, header=header or ",".join(INDEX), body=body)


def _parse_together(sources: Sequence[_Source]) -> Iterator[Measured]:
    """Parse files that have the same header."""
    counts = [source.body.count("\n") for source in sources]
    names = sources[0].header.split(",")
    columns = _columns("".join(source.body for source in sources), columns=len(names))
    if tuple(names[: len(INDEX)]) != INDEX or columns is None or len(columns) != sum(counts):
        yield from map(_parse, sources)
        return
    given = np.stack([column.is_valid().to_numpy() for column in columns.columns], axis=1)
    numbers = np.stack([column.to_numpy() for column in columns.columns], axis=1)
    ends = np.cumsum(counts)[:-1]
    for table, has in zip(np.split(numbers, ends), np.split(given, ends), strict=True):
        yield _measured(names, table=table, given=has)


def _columns(text: str, *, columns: int) -> pyarrow.Table | None:
    """Parse numbers, with empty fields as missing; None if the text is empty or not all numbers."""
    names = [str(number) for number in range(columns)]
    try:
        return csv.read_csv(
            pyarrow.BufferReader(text.encode()),
            read_options=csv.ReadOptions(column_names=names),
            parse_options=csv.ParseOptions(quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pyarrow.float64()), null_values=[""]
            ),
        )
    except pyarrow.ArrowInvalid:
        return None


def _parse(source: _Source) -> Measured:
    names = source.header.split(",")
    rows = [line.split(",") for line in source.body.splitlines()]
    wrong = next(
        (number for number, row in enumerate(rows, start=2) if len(row) != len(names)), None
    )
    if wrong is not None or tuple(names[: len(INDEX)]) != INDEX:
        raise FileError(
            f"{source.path}:{wrong or 1}: must have one field per column of the header{MOVE_AWAY}"
        )
    shape = (len(rows), len(names))
    try:
        flat = [float(field) if field else np.nan for row in rows for field in row]
    except ValueError as error:
        raise FileError(f"{source.path}: {error}{MOVE_AWAY}") from None
    given = np.array([field != "" for row in rows for field in row], dtype=np.bool_)
    table = np.array(flat, dtype=np.float64).reshape(shape)
    return _measured(names, table=table, given=given.reshape(shape))


def _measured(
    names: Sequence[str], *, table: npt.NDArray[np.float64], given: npt.NDArray[np.bool_]
) -> Measured:
    first = len(INDEX)
    return Measured(
        index=table[:, :first],
        metrics=tuple(names[first:]),
        values=table[:, first:],
        given=given[:, first:],
    )
