"""The input of a report: data frames of a sweep, its question, and the provenance of its runs."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from seqtune.report.data import audits, evaluations, frames
from seqtune.report.data.audits import Audit
from seqtune.report.data.cells import cells_frame, ranked_runs
from seqtune.report.data.evaluations import Generated, RecordedEvaluation
from seqtune.report.data.frames import RUN_COLUMNS
from seqtune.report.data.ranking import Ranking, ranking
from seqtune.report.data.representative_runs import (
    RepresentativeRun,
    best_runs,
    representative_runs,
)
from seqtune.report.data.runs import RecordedRun, compared_paths, read, tuned_paths
from seqtune.report.naming.labels import plain
from seqtune.report.naming.names import Naming, name_cells
from seqtune.runs.decision_log import DECISIONS, DecisionLog, read_decisions
from seqtune.runs.directory import RunDirectory
from seqtune.storage.files import read_json


@dataclass(frozen=True)
class Provenance:
    """Where the runs come from: distinct values, and the number of runs that have each.

    Attributes:
        data: prefixes of the hashes of the training data; empty if no run has one.
        settings: the `--set` options of the sweep's last call, as PATH=VALUE; None without a plan.
    """

    sweeps: Mapping[str, int]
    created: tuple[str, str]
    data: Mapping[str, int]
    devices: Mapping[str, int]
    commits: Mapping[str, int]
    versions: Mapping[str, int]
    settings: tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class Results:
    """A sweep's runs as data frames.

    Attributes:
        name: of the sweep, or of the directory if the runs belong to none.
        question: of the sweep file; empty if it asks none.
        metric: by which the sweep ranks cells.
        compared: the compared paths.
        tuned: the tuned paths.
        runs: one row per run.
        curves: one row per measured value.
        cells: one row per cell.
        best: the rows of `runs` with the best run of every cell that has a finished one.
        tried: by run, the tuned values that it was given, as frames store them.
        strings: by run, the number of validation strings, where its spec gives it.
        generated: by run, what the best runs generated, without those that generated nothing.
        representatives: the ranked runs, and the best search trials of cells without any.
        tasks: the distinct tasks of these runs.
        evaluations: results of `seqtune evaluate` on these runs.
        audits: by run, how audited search trials ended.
        decisions: the state that the sweep's decision log adds up to; None without a log.
    """

    name: str
    question: str
    metric: str
    compared: tuple[str, ...]
    tuned: tuple[str, ...]
    runs: pd.DataFrame
    curves: pd.DataFrame
    cells: pd.DataFrame
    best: pd.DataFrame
    tried: Mapping[str, Mapping[str, Any]]
    strings: Mapping[str, int]
    generated: Mapping[str, Generated]
    representatives: tuple[RepresentativeRun, ...]
    tasks: Sequence[Mapping[str, Any]]
    evaluations: tuple[RecordedEvaluation, ...]
    audits: Mapping[str, Audit]
    decisions: DecisionLog | None
    provenance: Provenance

    @cached_property
    def naming(self) -> Naming:
        """The names of the compared values and the cells."""
        return name_cells(self.cells, compared=self.compared)

    @cached_property
    def ranking(self) -> Ranking:
        """The ranking of the cells by the sweep's metric."""
        return ranking(self.runs, self.cells, compared=self.compared, metric=self.metric)

    def rank(self, metric: str) -> pd.DataFrame:
        """Rank the cells by any metric: one row per cell with rank, n, mean and interval.

        Raises:
            ValueError: if no run has the metric.
        """
        if f"{metric}.last" not in self.runs:
            have = [
                str(name).removesuffix(".last") for name in self.runs if str(name).endswith(".last")
            ]
            raise ValueError(f"no run has {metric}; they have {', '.join(have) or 'nothing'}")
        return ranking(self.runs, self.cells, compared=self.compared, metric=metric).frame()


def load(root: Path) -> Results:
    """Read every run below `root`, and the files of its sweep.

    Raises:
        FileError: if there is no such directory, or no run in it; if plan.json or decisions.jsonl
            cannot be read.
    """
    recorded = read(root)
    runs = frames.runs_frame(recorded)
    # A sweep file may have been edited between two sessions: the newest run has the latest one.
    in_sweeps = [run for run in recorded if run.info.get("sweep")]
    newest = max(in_sweeps, key=_created, default=None)
    sweep = newest.info["sweep"] if newest else {}
    metric = sweep.get("metric") or _usual_metric(runs)
    runs.insert(
        RUN_COLUMNS.index("seed"), "ranked", ranked_runs(runs, recorded=recorded, metric=metric)
    )
    cells, compared = cells_frame(runs, recorded=recorded, metric=metric), compared_paths(recorded)
    best = best_runs(runs, cells=cells, compared=compared, metric=metric)
    representatives = representative_runs(runs, best=best)
    return Results(
        name=sweep.get("name") or root.absolute().name,
        question=sweep.get("question") or "",
        metric=metric,
        compared=compared,
        tuned=tuned_paths(recorded),
        runs=runs,
        curves=frames.curves_frame(recorded),
        cells=cells,
        best=best,
        tried={run.name: _plain(run.place.tuned or {}) for run in recorded},
        strings=_strings(recorded),
        generated=_generated(best, root=root),
        representatives=representatives,
        tasks=_tasks(recorded, names={run.run for run in representatives}),
        evaluations=evaluations.read(representatives, root=root),
        audits=audits.read(recorded),
        decisions=read_decisions(root / DECISIONS),
        provenance=_provenance(recorded, root=root),
    )


def _usual_metric(runs: pd.DataFrame) -> str:
    """Return the metric of runs outside any sweep: the excess where the floor is known."""
    return "valid/excess" if "valid/excess.last" in runs else "valid/loss"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {path: plain(value) for path, value in values.items()}


def _strings(recorded: Sequence[RecordedRun]) -> dict[str, int]:
    asked = {run.name: run.info["spec"].get("evaluation", {}) for run in recorded}
    return {name: int(each["strings"]) for name, each in asked.items() if "strings" in each}


def _tasks(recorded: Sequence[RecordedRun], *, names: Collection[str]) -> list[Mapping[str, Any]]:
    found = [run.info["spec"].get("task", {}) for run in recorded if run.name in names]
    different = {json.dumps(task, sort_keys=True): task for task in found}
    return list(different.values())


def _generated(best: pd.DataFrame, *, root: Path) -> dict[str, Generated]:
    """Read generations of the best runs only: those of a whole sweep may be many megabytes."""
    found = {
        row["run"]: evaluations.read_generated(RunDirectory(root / row["directory"]))
        for _, row in best.iterrows()
    }
    return {name: each for name, each in found.items() if each is not None}


def _created(run: RecordedRun) -> str:
    return run.info.get("created") or ""


def _provenance(recorded: Sequence[RecordedRun], *, root: Path) -> Provenance:
    def count(text: Callable[[Mapping[str, Any]], str | None]) -> dict[str, int]:
        return dict(Counter(text(run.info) or "not recorded" for run in recorded).most_common())

    hashes = any(run.info.get("data_hash") for run in recorded)
    dates = sorted(_created(run) for run in recorded)
    return Provenance(
        sweeps=count(lambda info: (info.get("sweep") or {"name": "none"})["name"]),
        created=(dates[0], dates[-1]),
        data=count(lambda info: (info.get("data_hash") or "none")[:12]) if hashes else {},
        devices=count(lambda info: info.get("device")),
        commits=count(lambda info: info.get("git_commit")),
        versions=count(lambda info: _versions(info.get("versions") or {})),
        settings=_settings(root / "plan.json"),
    )


def _settings(plan_file: Path) -> tuple[str, ...] | None:
    found = read_json(plan_file).get("set") if plan_file.exists() else None
    return None if found is None else tuple(found)


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())
