"""Recorded runs -> tidy frames: a row a run, and a row a measured value."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtune.report.data.measurements import Measured
from seqtune.report.data.runs import RecordedRun, compared_paths, tuned_paths
from seqtune.report.data.values import is_missing, plain
from seqtune.training.measurement import HIGHER_IS_BETTER, METRICS

FLOORS = ("loss", "loss_string", "accuracy", "share")
REFERENCE = "reference."
"""Before the name of a reference, its column."""
CURVE_COLUMNS = ("run", "epoch", "step", "tokens", "seconds", "metric", "value")
RUN_COLUMNS = (
    *("run", "arm", "cell", "phase", "trial", "state", "reason", "seed", "epoch", "seconds"),
    *("parameters", "flops", "directory"),
)


def runs_frame(runs: Sequence[RecordedRun]) -> pd.DataFrame:
    """A row a run: who it is, how it ended, every setting that varies, last and best of every metric."""
    settings = [_settings(run) for run in runs]
    roles = (*compared_paths(runs), *tuned_paths(runs))
    paths = [path for path in dict.fromkeys((*roles, *_varying(settings))) if path != "seed"]
    measured = {name for run in runs for name in run.measured.found}
    scores = [
        f"{name}.{which}" for name in METRICS if name in measured for which in ("last", "best")
    ]
    floors = [f"floor.{name}" for name in FLOORS]
    named = [_references(run) for run in runs]
    references = dict.fromkeys(name for each in named for name in each)
    rows = [
        # A block given whole has no leaf of its own among the settings.
        {path: _at(run.info.get("spec", {}), path) for path in roles}
        | chosen
        | _identity(run)
        | _scores(run.measured)
        | _floors(run)
        | own
        for run, chosen, own in zip(runs, settings, named, strict=True)
    ]
    return frame(rows, columns=(*RUN_COLUMNS, *paths, *scores, *floors, *references))


def curves_frame(runs: Sequence[RecordedRun]) -> pd.DataFrame:
    """A row a measured value; runs and metrics as categories, of which there are few beside the rows."""
    metrics = dict.fromkeys((*METRICS, *(name for run in runs for name in run.measured.metrics)))
    places = {name: place for place, name in enumerate(metrics)}
    tables = [run.measured for run in runs]

    counts = [t.given.sum(axis=1) for t in tables]

    def column(number: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        # A run's row of four is repeated for every metric that was measured in it.
        parts = [np.repeat(t.index[:, number], n) for t, n in zip(tables, counts, strict=True)]
        return _joined(parts, dtype=dtype)

    codes = [
        np.broadcast_to(_codes(t.metrics, places=places), t.given.shape)[t.given] for t in tables
    ]
    owners = np.repeat(np.arange(len(runs), dtype=np.int32), [int(n.sum()) for n in counts])
    return pd.DataFrame(
        {
            "run": pd.Categorical.from_codes(owners, pd.Index([run.name for run in runs])),
            "epoch": column(0, np.int64),
            "step": column(1, np.int64),
            "tokens": column(2, np.int64),
            "seconds": column(3, np.float64),
            "metric": pd.Categorical.from_codes(
                _joined(codes, dtype=np.int16), pd.Index([*metrics])
            ),
            "value": _joined([t.values[t.given] for t in tables], dtype=np.float64),
        },
        columns=list(CURVE_COLUMNS),
        # Each column is ours alone, and together they may be most of what the process holds.
        copy=False,
    )


def _codes(metrics: Sequence[str], *, places: Mapping[str, int]) -> npt.NDArray[np.int16]:
    return np.array([places[name] for name in metrics], dtype=np.int16)


def _joined(parts: Sequence[npt.NDArray[Any]], *, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate(parts, dtype=dtype, casting="unsafe") if parts else np.empty(0, dtype)


def frame(rows: Sequence[Mapping[str, Any]], *, columns: Iterable[str]) -> pd.DataFrame:
    """A data frame with these columns; what a row lacks is missing, and whole numbers stay whole."""
    return pd.DataFrame({name: _column([row.get(name) for row in rows]) for name in columns})


def _identity(run: RecordedRun) -> dict[str, Any]:
    info, place = run.info, run.place
    last = run.measured.index[-1] if len(run.measured.index) else None
    flops_per_token = info.get("flops_per_token")
    return {
        "run": run.name,
        "arm": place.arm,
        "cell": place.cell,
        "phase": place.phase,
        "trial": place.trial,
        "state": info["state"],
        "reason": info.get("reason"),
        "seed": info.get("spec", {}).get("seed"),
        "epoch": int(last[0]) if last is not None else None,
        "seconds": float(last[3]) if last is not None else None,
        "parameters": info.get("parameters"),
        # A float: the work of a long run has more digits than a 64-bit integer.
        "flops": float(flops_per_token) * float(last[2])
        if last is not None and flops_per_token is not None
        else None,
        "directory": run.directory,
    }


def _floors(run: RecordedRun) -> dict[str, Any]:
    floor = run.info.get("floor")
    # Before a floor could cover a part of the tokens, it covered all of them.
    return (
        {f"floor.{name}": value for name, value in ({"share": 1.0} | floor).items()}
        if floor
        else {}
    )


def _references(run: RecordedRun) -> dict[str, float]:
    return {REFERENCE + name: value for name, value in (run.info.get("references") or {}).items()}


def _settings(run: RecordedRun) -> dict[str, Any]:
    """Dotted path -> value: the leaves of the spec, and what the sweep compared and tuned as it says it."""
    roles = {**(run.place.compared or {}), **(run.place.tuned or {})}
    return leaves(run.info.get("spec", {})) | {path: plain(value) for path, value in roles.items()}


def leaves(data: Mapping[str, Any], *, above: str = "") -> dict[str, Any]:
    """Dotted path -> value, of every leaf of plain data."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            found |= leaves(value, above=f"{above}{name}.")
        else:
            found[f"{above}{name}"] = plain(value)
    return found


def _at(data: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(data, Mapping) or part not in data:
            return None
        data = data[part]
    return plain(data)


def _varying(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    paths = dict.fromkeys(path for each in settings for path in each)
    return [path for path in paths if len({each.get(path) for each in settings}) > 1]


def _scores(measured: Measured) -> dict[str, float]:
    """Of every metric that was measured at all, the last value and the best number."""
    if not len(measured.index):
        return {}
    given, values = measured.given, measured.values
    rows = len(given) - 1 - given[::-1].argmax(axis=0)
    last = values[rows, np.arange(len(measured.metrics))].tolist()
    # Unlike min and max, these pass over what is no number.
    least, greatest = np.fmin.reduce(values).tolist(), np.fmax.reduce(values).tolist()
    scores: dict[str, float] = {}
    for place in np.flatnonzero(given.any(axis=0)).tolist():
        name = measured.metrics[place]
        scores[f"{name}.last"] = last[place]
        scores[f"{name}.best"] = (greatest if name in HIGHER_IS_BETTER else least)[place]
    return scores


def _column(values: list[Any]) -> pd.Series:
    """Whole numbers, numbers, text or a mixture, each in the type that keeps them as they are."""
    # Most columns are scores; what is below comes to the same, much later.
    if {*map(type, values)} <= {float, NoneType}:
        return pd.Series(values, dtype="float64")
    given = [value for value in values if not is_missing(value)]
    if not all(isinstance(value, Real) for value in given):
        texts = all(isinstance(value, str) for value in given)
        return pd.Series(values, dtype=None if texts else "object")
    if not given or not all(isinstance(value, Integral) for value in given):
        return pd.Series(values, dtype="float64")
    if any(abs(int(value)) >= 2**63 for value in given):
        return pd.Series(values, dtype="object")
    return pd.Series(values, dtype="int64" if len(given) == len(values) else "Int64")
