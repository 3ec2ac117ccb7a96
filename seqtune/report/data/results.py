"""What a report is made from: the frames of a sweep, its question, and where its runs come from."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from seqtune.report.data import audits, evaluations, frames, generations
from seqtune.report.data.audits import Audit
from seqtune.report.data.cells import cells_frame, ranked
from seqtune.report.data.evaluations import RecordedEvaluation
from seqtune.report.data.frames import RUN_COLUMNS
from seqtune.report.data.generations import Generated
from seqtune.report.data.ranking import Ranking, ranking
from seqtune.report.data.representative_runs import Standing, best_runs, standing
from seqtune.report.data.runs import RecordedRun, compared_paths, read, tuned_paths
from seqtune.report.data.values import plain
from seqtune.report.naming import Naming, naming
from seqtune.runs.decision_log import DECISIONS, DecisionLog, read_decisions
from seqtune.runs.directory import RunDirectory
from seqtune.storage.files import read_json


@dataclass(frozen=True)
class Provenance:
    """Where the runs come from: each distinct thing, and of how many runs it is true.

    Attributes:
        data: the beginnings of the hashes of what was learned from; empty if no run has any.
        settings: what was given by `--set` in the sweep's last call, as PATH=VALUE; None if no plan says it.
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
        name: the sweep's, or the directory's if the runs belong to none.
        question: as the sweep file asks it; empty if it asks none.
        metric: what the sweep is judged by.
        compared: paths whose every combination is a cell; `tuned` likewise those searched in each cell.
        runs: a row a run; `curves` a row a measured value; `cells` a row a cell.
        best: the rows of `runs` with the best run of every cell that has a finished one.
        tried: by name of the run, the tuned values that it was given, as frames have them.
        strings: by name of the run, on how many validation strings it was scored, where its spec says so.
        generated: what these generated, by name of the run; without those that generated nothing.
        standing: the runs that stand for the cells: those that are ranked, or else the best search trials.
        tasks: what these were trained on, each different task once.
        evaluations: what `seqtune evaluate` found of them.
        audits: by name of the run, how the stopped search trials ended that ran on all the same.
        decisions: from the sweep's log; None for a folder that has none.
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
    standing: tuple[Standing, ...]
    tasks: Sequence[Mapping[str, Any]]
    evaluations: tuple[RecordedEvaluation, ...]
    audits: Mapping[str, Audit]
    decisions: DecisionLog | None
    provenance: Provenance

    @cached_property
    def naming(self) -> Naming:
        """What the compared values and the cells are called."""
        return naming(self.cells, compared=self.compared)

    @cached_property
    def ranking(self) -> Ranking:
        """The cells in the order of the sweep's metric, as far as they can be told apart."""
        return ranking(self.runs, self.cells, compared=self.compared, metric=self.metric)

    def rank(self, metric: str) -> pd.DataFrame:
        """The cells in the order of any metric, a row each: rank, n, mean, interval.

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
    """Reads every run below `root`, and what its sweep wrote down of them.

    Raises:
        FileError: if there is no such directory, or no run in it; if plan.json or decisions.jsonl is no such
            file.
    """
    recorded = read(root)
    runs = frames.runs_frame(recorded)
    # A sweep file may have been edited between two sittings: the youngest run knows best.
    in_sweeps = [run for run in recorded if run.info.get("sweep")]
    youngest = max(in_sweeps, key=_created, default=None)
    sweep = youngest.info["sweep"] if youngest else {}
    metric = sweep.get("metric") or _usual_metric(runs)
    runs.insert(RUN_COLUMNS.index("seed"), "ranked", ranked(runs, recorded=recorded, metric=metric))
    cells, compared = cells_frame(runs, recorded=recorded, metric=metric), compared_paths(recorded)
    best = best_runs(runs, cells=cells, compared=compared, metric=metric)
    stand = standing(runs, best=best)
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
        standing=stand,
        tasks=_tasks(recorded, names={run.run for run in stand}),
        evaluations=evaluations.read(stand, root=root),
        audits=audits.read(recorded),
        decisions=read_decisions(root / DECISIONS),
        provenance=_provenance(recorded, root=root),
    )


def _usual_metric(runs: pd.DataFrame) -> str:
    """The metric of runs that no sweep judges: the excess where the floor is known."""
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
    """Of the best runs alone: the samples of a whole sweep would be many megabytes."""
    found = {
        row["run"]: generations.read(RunDirectory(root / row["directory"]))
        for _, row in best.iterrows()
    }
    return {name: each for name, each in found.items() if each is not None}


def _created(run: RecordedRun) -> str:
    return run.info.get("created") or ""


def _provenance(recorded: Sequence[RecordedRun], *, root: Path) -> Provenance:
    def counted(text: Callable[[Mapping[str, Any]], str | None]) -> dict[str, int]:
        return dict(Counter(text(run.info) or "not recorded" for run in recorded).most_common())

    hashes = any(run.info.get("data_hash") for run in recorded)
    dates = sorted(_created(run) for run in recorded)
    return Provenance(
        sweeps=counted(lambda info: (info.get("sweep") or {"name": "none"})["name"]),
        created=(dates[0], dates[-1]),
        data=counted(lambda info: (info.get("data_hash") or "none")[:12]) if hashes else {},
        devices=counted(lambda info: info.get("device")),
        commits=counted(lambda info: info.get("git_commit")),
        versions=counted(lambda info: _versions(info.get("versions") or {})),
        settings=_settings(root / "plan.json"),
    )


def _settings(plan_file: Path) -> tuple[str, ...] | None:
    found = read_json(plan_file).get("set") if plan_file.exists() else None
    return None if found is None else tuple(found)


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())
