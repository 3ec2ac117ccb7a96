"""From a sweep file to its cells, every one of them checked before anything runs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from seqtune.run import RunSpec
from seqtune.spec import Path, Problem, SpecError, assigned, dotted, has, merged
from seqtune.sweep.comparison import Compared, combinations, kept
from seqtune.sweep.distributions import Choice, Range
from seqtune.sweep.names import key_of, text_of
from seqtune.sweep.needs import resource_problems
from seqtune.sweep.spec import Grid, SweepSpec
from seqtune.sweep.tuned import first_point, grid_points, tried_points
from seqtune.training.measurement import COMMON_OBJECTIVES, FREE, GENERATED

ABSENT = {
    "generate/valid_cut": "no string is cut there",
    "valid/kl": "the truth is not known, or it is certain, and valid/excess the same",
}
"""Why a task has no such metric, where the reason is one of its own."""


@dataclass(frozen=True)
class Cell:
    """One combination of compared values: searched by itself, then confirmed.

    Attributes:
        name: what people read, unique in the sweep: `height=2, layers=1`.
        key: the same for file names.
        arm: name of its arm, if the sweep has any.
        compared: the compared values, by dotted path.
        tune: what is searched inside, by dotted path.
        trials: number of search trials.
        data: the run as plain data, but for tuned values and seed.
    """

    name: str
    key: str
    arm: str | None
    compared: Compared
    tune: Mapping[str, Range | Choice]
    trials: int
    data: dict[str, Any] = field(repr=False)

    def run(self, *, tuned: Mapping[str, Any], seed: int) -> RunSpec:
        """The run with these tuned values and this seed."""
        return RunSpec.parse(assigned(self.data, {**tuned, "seed": seed}))

    def fixed(self) -> dict[str, Any]:
        """The run's plain data, tuned values and seed left open: what all its runs share."""
        return open_fields(self.run(tuned=first_point(self.tune), seed=0), paths=self.tune)


@dataclass(frozen=True)
class Plan:
    """A sweep, spelt out."""

    sweep: SweepSpec
    cells: tuple[Cell, ...]

    @property
    def runs(self) -> int:
        """Search trials and confirm runs together."""
        return sum(cell.trials + self.sweep.confirm.seeds for cell in self.cells)

    def to_data(self) -> dict[str, Any]:
        """What plan.json holds."""
        return {
            "name": self.sweep.name,
            "question": self.sweep.question,
            "metric": self.sweep.metric,
            "runs": self.runs,
            "sampler": self.sweep.search.sampler.kind if self.sweep.search else None,
            "confirm_seeds": self.sweep.confirm.seeds,
            "cells": [
                {
                    "cell": cell.name,
                    "arm": cell.arm,
                    "compared": cell.compared,
                    "tune": {
                        path: each.model_dump(mode="json") for path, each in cell.tune.items()
                    },
                    "trials": cell.trials,
                    "run": cell.fixed(),
                }
                for cell in self.cells
            ],
        }


def open_fields(spec: RunSpec, *, paths: Mapping[str, Any]) -> dict[str, Any]:
    """A run's plain data without its seed and with null at the given paths."""
    data = spec.to_data()
    del data["seed"]
    return assigned(data, dict.fromkeys(paths))


def make_plan(sweep: SweepSpec) -> Plan:
    """Spells a sweep out and checks every cell at every bound.

    Raises:
        SpecError: with every problem, at its path in the sweep file.
    """
    problems: list[Problem] = []
    drafts: list[_Draft] = []
    for arm in sweep.arms or {None: None}:
        try:
            drafts += _drafts(sweep, arm=arm)
        except SpecError as error:
            problems += error.problems
    for draft in drafts:
        problems += draft.problems()
    if not problems:
        problems += _twins(drafts)
    if problems:
        raise SpecError(problems)
    if not drafts:
        raise SpecError([Problem(("compare", "exclude"), "leaves no cell to run")])
    names = _short_names(drafts)
    cells = tuple(draft.cell(names) for draft in drafts)
    problems += resource_problems(sweep.resources, cells=cells)
    if problems:
        raise SpecError(problems)
    return Plan(sweep=sweep, cells=cells)


@dataclass(frozen=True)
class _Draft:
    """A cell before its check."""

    sweep: SweepSpec
    arm: str | None
    compared: Compared
    tune: Mapping[str, Range | Choice]

    @property
    def data(self) -> dict[str, Any]:
        blocks = self.sweep.arms[self.arm].blocks if self.arm is not None else {}
        return assigned(merged(self.sweep.base, blocks), self.compared)

    def problems(self) -> Iterator[Problem]:
        """Everything wrong with the cell, at the paths of the file."""
        yield from self._role_problems()
        points = tried_points(self.tune)
        wrong: dict[Path, list[tuple[dict[str, Any], Problem]]] = {}
        for tuned in points:
            try:
                spec = RunSpec.parse(assigned(self.data, tuned))
            except SpecError as error:
                for problem in error.problems:
                    wrong.setdefault(problem.path, []).append((tuned, problem))
                continue
            yield from self._metric_problems(spec)
            yield from self._grace_problems(spec)
        for path, cases in wrong.items():
            tuned, problem = cases[0]
            beside = self._tuned_beside(path, tuned) if len(cases) < len(points) else ""
            yield Problem(self._origin(path), f"{self._sentence(problem)}{beside}")

    def cell(self, names: Mapping[str, str]) -> Cell:
        values = {names[path]: text_of(value) for path, value in self.compared.items()}
        label = ", ".join(f"{name}={value}" for name, value in values.items())
        name = ": ".join(part for part in (self.arm, label) if part) or "all"
        return Cell(
            name=name,
            key=key_of(name, compared=self.compared),
            arm=self.arm,
            compared=self.compared,
            tune=self.tune,
            trials=self._trials(),
            data=self.data,
        )

    def _trials(self) -> int:
        search = self.sweep.search
        if search is None or not self.tune:
            return 0
        return search.trials if search.trials is not None else len(grid_points(self.tune))

    def _role_problems(self) -> Iterator[Problem]:
        if "seed" in self.data:
            yield Problem(self._origin(("seed",)), "seeds are given out by search and confirm")
        for path in self.tune:
            where = self._role_path("tune", path)
            for other in self.compared:
                if path == other or path.startswith(f"{other}.") or other.startswith(f"{path}."):
                    yield Problem(where, f"a path has one role, but {other} is compared")
            if isinstance(self._grid(), Grid) and isinstance(self.tune[path], Range):
                yield Problem(where, "the grid sampler needs {choice: [...]}, but this is a range")
            for other, value in self.tune[path].when.items():
                if other not in self.tune:
                    known = ", ".join(each for each in self.tune if each != path) or "nothing else"
                    yield Problem((*where, "when"), f"{other} is not tuned here; tuned are {known}")
                elif not self.tune[other].takes(value):
                    yield Problem((*where, "when"), f"{other} never takes the value {value!r}")
        for role, names in (("tune", self.tune), ("compare", self.compared)):
            if "seed" in names:
                yield Problem(
                    self._role_path(role, "seed"), "seeds are given out by search and confirm"
                )

    def _grid(self) -> Any:
        return self.sweep.search.sampler if self.sweep.search is not None else None

    def _metric_problems(self, spec: RunSpec) -> Iterator[Problem]:
        metric = self.sweep.metric
        generated = metric in GENERATED
        if metric not in COMMON_OBJECTIVES and metric not in spec.task.scores:
            why = "nothing is generated there" if generated else "its floor is not known"
            why = ABSENT.get(metric, why)
            yield Problem(("metric",), f"no run of this task has {metric}: {why}")
        elif generated and spec.evaluation.generate == 0:
            yield Problem(("metric",), f"no run has {metric}: evaluation.generate is 0")
        elif metric in FREE and spec.evaluation.free == 0:
            yield Problem(("metric",), f"no run has {metric}: evaluation.free is 0")

    def _grace_problems(self, spec: RunSpec) -> Iterator[Problem]:
        grace = getattr(self.sweep.search.pruner, "grace", 0) if self.sweep.search else 0
        epochs = spec.training.epochs
        if self.tune and grace > epochs:
            yield Problem(
                ("search", "pruner", "grace"),
                "grace <= training.epochs must hold, "
                f"but got (grace={grace}, training.epochs={epochs})",
            )

    def _origin(self, path: Path) -> Path:
        """Where in the file a value of the run was written."""
        name = dotted(path)
        for role, names in (("tune", self.tune), ("compare", self.compared)):
            for candidate in names:
                if name == candidate or name.startswith((candidate + ".", candidate + "[")):
                    return self._role_path(role, candidate)
        if self.arm is not None and _holds(self.sweep.arms[self.arm].blocks, path):
            return ("arms", self.arm, *path)
        if not _holds(self.sweep.base, path):
            for role, names in (("tune", self.tune), ("compare", self.compared)):
                for candidate in names:
                    if name and candidate.startswith(name + "."):
                        return self._role_path(role, candidate)
        return ("base", *path)

    def _tuned_beside(self, path: Path, tuned: Mapping[str, Any]) -> str:
        """Which point of the search is meant, where others are in order: the values in the same part."""
        near = {name: value for name, value in tuned.items() if name.split(".")[0] in path[:1]}
        values = ", ".join(f"{name}={text_of(value)}" for name, value in (near or tuned).items())
        return "" if [*near] == [dotted(path)] else f" (tune would try {values})"

    def _sentence(self, problem: Problem) -> str:
        """An unknown path is told in the words of the roles."""
        in_role = {"tune", "compare"} & set(self._origin(problem.path)[:3])
        if in_role:
            return problem.message.replace("no such field", "no such path", 1)
        return problem.message

    def _role_path(self, role: str, path: str) -> Path:
        """The entry of a path in the arm's own block if it stands there, else in the sweep's."""
        if self.arm is not None and path in getattr(self.sweep.arms[self.arm], role):
            return ("arms", self.arm, role, path)
        block = getattr(self.sweep, role)
        return (role, path) if path in block else (role, "zip")


def _drafts(sweep: SweepSpec, *, arm: str | None) -> list[_Draft]:
    here: Path = ("compare",)
    common = kept(combinations(sweep.compare, at=here), block=sweep.compare, at=here)
    if arm is None:
        return [_Draft(sweep, None, compared, sweep.tune) for compared in common]
    block, at = sweep.arms[arm].compare, ("arms", arm, "compare")
    crossed = [{**each, **more} for each in common for more in combinations(block, at=at)]
    tune = {**sweep.tune, **sweep.arms[arm].tune}
    return [_Draft(sweep, arm, each, tune) for each in kept(crossed, block=block, at=at)]


def _twins(drafts: list[_Draft]) -> Iterator[Problem]:
    seen: dict[str, _Draft] = {}
    for draft in drafts:
        spec = RunSpec.parse(assigned(draft.data, first_point(draft.tune)))
        tune = {path: each.model_dump(mode="json") for path, each in draft.tune.items()}
        key = json.dumps([spec.to_data(), tune], sort_keys=True)
        if key in seen:
            first, second = _label(seen[key]), _label(draft)
            yield Problem(_common_place(draft), f"two cells are the same: {first} and {second}")
        seen.setdefault(key, draft)


def _label(draft: _Draft) -> str:
    values = ", ".join(f"{path}={text_of(value)}" for path, value in draft.compared.items())
    return f"({': '.join(part for part in (draft.arm, values) if part)})"


def _common_place(draft: _Draft) -> Path:
    return ("arms", draft.arm) if draft.arm is not None else ("compare",)


def _holds(data: Any, path: Path) -> bool:
    for part in path:
        if not has(data, part):
            return False
        data = data[part]
    return bool(path)


def _short_names(drafts: list[_Draft]) -> dict[str, str]:
    """For every compared path its last word, or more where that would be ambiguous."""
    paths = list(dict.fromkeys(path for draft in drafts for path in draft.compared))
    last = [path.rpartition(".")[2] for path in paths]
    return {
        path: word if last.count(word) == 1 else path
        for path, word in zip(paths, last, strict=True)
    }
