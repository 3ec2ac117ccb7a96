"""From a sweep file to its cells, and every check that can be made before anything runs."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqtune.config.errors import Path, Problem, SpecError
from seqtune.config.nested import assign
from seqtune.runs.spec import RunSpec
from seqtune.sweep.planning.candidate import Candidate
from seqtune.sweep.planning.cell import Cell
from seqtune.sweep.planning.distributions import first_point, tried_points
from seqtune.sweep.planning.grid import combinations, filter_combinations
from seqtune.sweep.planning.match import match_problems, solve, start
from seqtune.sweep.planning.resources import AMOUNTS, ResourceRequest, Resources, values_of
from seqtune.sweep.planning.spec import SweepSpec


@dataclass(frozen=True)
class Plan:
    """A sweep with all its cells."""

    sweep: SweepSpec
    cells: tuple[Cell, ...]

    @property
    def runs(self) -> int:
        """Search trials and confirm runs together."""
        return sum(cell.trials + self.sweep.confirm.seeds for cell in self.cells)

    def to_data(self) -> dict[str, Any]:
        """Return plain data, for plan.json."""
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
                    "match": None if cell.matched is None else cell.matched.to_data(),
                    "run": cell.fixed(),
                }
                for cell in self.cells
            ],
        }


def make_plan(sweep: SweepSpec) -> Plan:
    """Return the cells of a sweep, each checked at every bound of what is tuned.

    Raises:
        SpecError: with every problem, at its path in the sweep file.
    """
    problems: list[Problem] = []
    candidates: list[Candidate] = []
    for arm in sweep.arms or {None: None}:
        try:
            candidates += _candidates(sweep, arm=arm)
        except SpecError as error:
            problems += error.problems
    candidates = [start(candidate) for candidate in candidates]
    for candidate in candidates:
        problems += match_problems(candidate)
        problems += candidate.problems()
    if not problems:
        candidates = _solve_matches(candidates)
        problems += _duplicates(candidates)
    if problems:
        raise SpecError(problems)
    if not candidates:
        raise SpecError(
            [Problem(("compare", "exclude"), "leaves no cell to run; take an entry out")]
        )
    names = _short_names(candidates)
    cells = tuple(candidate.cell(names) for candidate in candidates)
    problems += resource_problems(sweep.resources, cells=cells)
    if problems:
        raise SpecError(problems)
    return Plan(sweep=sweep, cells=cells)


def _candidates(sweep: SweepSpec, *, arm: str | None) -> list[Candidate]:
    path: Path = ("compare",)
    common = filter_combinations(combinations(sweep.compare, at=path), block=sweep.compare, at=path)
    if arm is None:
        return [Candidate(sweep, None, compared, sweep.tune) for compared in common]
    block, at = sweep.arms[arm].compare, ("arms", arm, "compare")
    crossed = [{**each, **more} for each in common for more in combinations(block, at=at)]
    tune = {**sweep.tune, **sweep.arms[arm].tune}
    return [
        Candidate(sweep, arm, each, tune)
        for each in filter_combinations(crossed, block=block, at=at)
    ]


def _solve_matches(candidates: list[Candidate]) -> list[Candidate]:
    """The cells with the values that `match` solves for.

    Raises:
        SpecError: with every cell that cannot be matched.
    """
    if all(candidate.match is None for candidate in candidates):
        return candidates
    # Imported here, since it needs torch.
    from seqtune.runs.cost import CostEstimator

    estimator = CostEstimator()
    problems: list[Problem] = []
    found: list[Candidate] = []
    for candidate in candidates:
        try:
            found.append(solve(candidate, estimator=estimator))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return found


def _duplicates(candidates: list[Candidate]) -> Iterator[Problem]:
    seen: dict[str, Candidate] = {}
    for candidate in candidates:
        spec = RunSpec.parse(assign(candidate.data, first_point(candidate.tune)))
        tune = {path: each.model_dump(mode="json") for path, each in candidate.tune.items()}
        key = json.dumps([spec.to_data(), tune], sort_keys=True)
        if key in seen:
            first, second = seen[key].label, candidate.label
            yield Problem(
                _path_of(candidate), f"two cells are the same: {first} and {second}; leave one out"
            )
        seen.setdefault(key, candidate)


def _path_of(candidate: Candidate) -> Path:
    return ("arms", candidate.arm) if candidate.arm is not None else ("compare",)


def _short_names(candidates: list[Candidate]) -> dict[str, str]:
    """The last word of every compared path; the whole path where that would be ambiguous."""
    paths = list(dict.fromkeys(path for candidate in candidates for path in candidate.compared))
    last = [path.rpartition(".")[2] for path in paths]
    return {
        path: word if last.count(word) == 1 else path
        for path, word in zip(paths, last, strict=True)
    }


if TYPE_CHECKING:
    from seqtune.sweep.planning.plan import Cell


def resource_problems(resources: Resources, *, cells: Iterable[Cell]) -> list[Problem]:
    """Return conditions of `resources.when` on paths and arms that no run has."""
    if not resources.when:
        return []
    cells = list(cells)
    known: dict[str, Any] = {}
    for values in _values(resources, cells=cells):
        known |= values
    known.pop("arm", None)
    arms = {cell.arm: None for cell in cells if cell.arm is not None}
    return list(resources.path_problems(known, arms=arms))


def unused_cases(resources: Resources, *, cells: Iterable[Cell]) -> Iterator[Problem]:
    """Yield entries of `resources.when` that apply to none of the runs that are checked."""
    tried = list(_values(resources, cells=cells)) if resources.when else []
    for index, case in enumerate(resources.when):
        if not any(case.fits(values) for values in tried):
            yield Problem(("resources", "when", index), "applies to no run, so it has no effect")


def request_kinds(
    resources: Resources, *, cells: Iterable[Cell]
) -> dict[ResourceRequest, dict[str, Path]]:
    """Return the requests of the runs that are checked, with the file path of each amount."""
    found: dict[ResourceRequest, dict[str, Path]] = {}
    for values in _values(resources, cells=cells):
        origins = {name: resources.origin(name, values) for name in AMOUNTS}
        found.setdefault(resources.request(values), origins)
    return found


def device_problems(sweep: SweepSpec, *, cells: Iterable[Cell]) -> Iterator[Problem]:
    """Yield runs that this machine cannot train: without CUDA, or in an unsupported precision."""
    for cell in cells:
        candidate = Candidate(sweep, cell.arm, cell.compared, cell.tune, cell.matched)
        for tuned in tried_points(cell.tune):
            spec = cell.run(tuned=tuned, seed=0)
            if spec.training.precision == "fp32" and spec.training.device != "cuda":
                continue  # works on every device; avoids importing torch
            from seqtune.runs.build import DeviceError, choose_device

            gpu = sweep.resources.request(values_of(spec, arm=cell.arm)).gpu
            try:
                choose_device(spec, cuda=None if gpu else False)
            except DeviceError as error:
                yield Problem(candidate.origin(error.problem.path), error.problem.message)


def _values(resources: Resources, *, cells: Iterable[Cell]) -> Iterator[dict[str, Any]]:
    """Values of runs that cover what can be requested."""
    by_value = any(case.model_extra for case in resources.when)
    for cell in cells:
        points = tried_points(cell.tune) if by_value else [first_point(cell.tune)]
        for tuned in points:
            yield values_of(cell.run(tuned=tuned, seed=0), arm=cell.arm)
