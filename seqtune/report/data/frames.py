"""Tidy data frames of recorded runs: one row per run, and one row per measured value."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtune.report.data.measurements import Measured
from seqtune.report.data.runs import RecordedRun, compared_paths, tuned_paths
from seqtune.report.naming.labels import is_missing, plain
from seqtune.training.measurement import HIGHER_IS_BETTER, METRICS

FLOORS = ("loss", "loss_string", "accuracy", "share")
REFERENCE = "reference."
"""Prefix of the columns that hold references."""
CURVE_COLUMNS = ("run", "epoch", "step", "tokens", "seconds", "metric", "value")
RUN_COLUMNS = (
    *("run", "arm", "cell", "phase", "trial", "state", "reason", "seed", "epoch", "seconds"),
    *("parameters", "flops", "directory"),
)


def runs_frame(runs: Sequence[RecordedRun]) -> pd.DataFrame:
    """Return one row per run: identity, state, every varying setting, last and best scores."""
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
        # A compared or tuned block is not among the leaves of the settings.
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
    """Return one row per measured value; runs and metrics are categories, to save memory."""
    metrics = dict.fromkeys((*METRICS, *(name for run in runs for name in run.measured.metrics)))
    places = {name: place for place, name in enumerate(metrics)}
    tables = [run.measured for run in runs]

    counts = [t.given.sum(axis=1) for t in tables]

    def column(number: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        # Each index row is repeated for every metric that was measured in it.
        parts = [np.repeat(t.index[:, number], n) for t, n in zip(tables, counts, strict=True)]
        return _concatenate(parts, dtype=dtype)

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
                _concatenate(codes, dtype=np.int16), pd.Index([*metrics])
            ),
            "value": _concatenate([t.values[t.given] for t in tables], dtype=np.float64),
        },
        columns=list(CURVE_COLUMNS),
        # The columns have no other user, and a copy might double the process's memory.
        copy=False,
    )


def _codes(metrics: Sequence[str], *, places: Mapping[str, int]) -> npt.NDArray[np.int16]:
    return np.array([places[name] for name in metrics], dtype=np.int16)


def _concatenate(parts: Sequence[npt.NDArray[Any]], *, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate(parts, dtype=dtype, casting="unsafe") if parts else np.empty(0, dtype)


def frame(rows: Sequence[Mapping[str, Any]], *, columns: Iterable[str]) -> pd.DataFrame:
    """Return a data frame with these columns; absent keys are missing, integers stay integers."""
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
        # A float, because the FLOPs of a long run overflow a 64-bit integer.
        "flops": float(flops_per_token) * float(last[2])
        if last is not None and flops_per_token is not None
        else None,
        "directory": run.directory,
    }


def _floors(run: RecordedRun) -> dict[str, Any]:
    floor = run.info.get("floor")
    # Runs recorded before floors could be partial have no share.
    return (
        {f"floor.{name}": value for name, value in ({"share": 1.0} | floor).items()}
        if floor
        else {}
    )


def _references(run: RecordedRun) -> dict[str, float]:
    return {REFERENCE + name: value for name, value in (run.info.get("references") or {}).items()}


def _settings(run: RecordedRun) -> dict[str, Any]:
    """Return the leaves of the spec and the compared and tuned values, by dotted path."""
    roles = {**(run.place.compared or {}), **(run.place.tuned or {})}
    return leaves(run.info.get("spec", {})) | {path: plain(value) for path, value in roles.items()}


def leaves(data: Mapping[str, Any], *, above: str = "") -> dict[str, Any]:
    """Return the leaves of nested plain data by dotted path."""
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
    """Return the last value and the best number of every measured metric."""
    if not len(measured.index):
        return {}
    given, values = measured.given, measured.values
    rows = len(given) - 1 - given[::-1].argmax(axis=0)
    last = values[rows, np.arange(len(measured.metrics))].tolist()
    # Unlike min and max, fmin and fmax ignore NaN.
    least, greatest = np.fmin.reduce(values).tolist(), np.fmax.reduce(values).tolist()
    scores: dict[str, float] = {}
    for place in np.flatnonzero(given.any(axis=0)).tolist():
        name = measured.metrics[place]
        scores[f"{name}.last"] = last[place]
        scores[f"{name}.best"] = (greatest if name in HIGHER_IS_BETTER else least)[place]
    return scores


def _column(values: list[Any]) -> pd.Series:
    """Return a column of integers, floats, text or a mixture, in the type that preserves them."""
    # A shortcut for scores, which most columns are.
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
