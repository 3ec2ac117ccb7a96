"""From a sweep file to its cells, every one of them checked before anything runs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seqtune.config.errors import Path, Problem, SpecError
from seqtune.config.nested import assign
from seqtune.runs.spec import RunSpec
from seqtune.sweep.planning.candidate import Candidate
from seqtune.sweep.planning.cell import Cell
from seqtune.sweep.planning.grid import combinations, filter_combinations
from seqtune.sweep.planning.match_solver import match_problems, solve, start
from seqtune.sweep.planning.resource_checks import resource_problems
from seqtune.sweep.planning.search_points import first_point
from seqtune.sweep.planning.spec import SweepSpec


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
                    "match": None if cell.matched is None else cell.matched.to_data(),
                    "run": cell.fixed(),
                }
                for cell in self.cells
            ],
        }


def make_plan(sweep: SweepSpec) -> Plan:
    """Spells a sweep out and checks every cell at every bound.

    Raises:
        SpecError: with every problem, at its path in the sweep file.
    """
    problems: list[Problem] = []
    drafts: list[Candidate] = []
    for arm in sweep.arms or {None: None}:
        try:
            drafts += _drafts(sweep, arm=arm)
        except SpecError as error:
            problems += error.problems
    drafts = [start(draft) for draft in drafts]
    for draft in drafts:
        problems += match_problems(draft)
        problems += draft.problems()
    if not problems:
        drafts = _solved(drafts)
        problems += _twins(drafts)
    if problems:
        raise SpecError(problems)
    if not drafts:
        raise SpecError(
            [Problem(("compare", "exclude"), "leaves no cell to run; take an entry out")]
        )
    names = _short_names(drafts)
    cells = tuple(draft.cell(names) for draft in drafts)
    problems += resource_problems(sweep.resources, cells=cells)
    if problems:
        raise SpecError(problems)
    return Plan(sweep=sweep, cells=cells)


def _drafts(sweep: SweepSpec, *, arm: str | None) -> list[Candidate]:
    here: Path = ("compare",)
    common = filter_combinations(combinations(sweep.compare, at=here), block=sweep.compare, at=here)
    if arm is None:
        return [Candidate(sweep, None, compared, sweep.tune) for compared in common]
    block, at = sweep.arms[arm].compare, ("arms", arm, "compare")
    crossed = [{**each, **more} for each in common for more in combinations(block, at=at)]
    tune = {**sweep.tune, **sweep.arms[arm].tune}
    return [
        Candidate(sweep, arm, each, tune)
        for each in filter_combinations(crossed, block=block, at=at)
    ]


def _solved(drafts: list[Candidate]) -> list[Candidate]:
    """The cells with what `match` asks for.

    Raises:
        SpecError: with every cell for which it cannot be had.
    """
    if all(draft.match is None for draft in drafts):
        return drafts
    # Only here, since it needs torch.
    from seqtune.runs.cost import CostEstimator

    ruler = CostEstimator()
    problems: list[Problem] = []
    found: list[Candidate] = []
    for draft in drafts:
        try:
            found.append(solve(draft, ruler=ruler))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return found


def _twins(drafts: list[Candidate]) -> Iterator[Problem]:
    seen: dict[str, Candidate] = {}
    for draft in drafts:
        spec = RunSpec.parse(assign(draft.data, first_point(draft.tune)))
        tune = {path: each.model_dump(mode="json") for path, each in draft.tune.items()}
        key = json.dumps([spec.to_data(), tune], sort_keys=True)
        if key in seen:
            first, second = seen[key].label, draft.label
            yield Problem(
                _common_place(draft), f"two cells are the same: {first} and {second}; leave one out"
            )
        seen.setdefault(key, draft)


def _common_place(draft: Candidate) -> Path:
    return ("arms", draft.arm) if draft.arm is not None else ("compare",)


def _short_names(drafts: list[Candidate]) -> dict[str, str]:
    """For every compared path its last word, or more where that would be ambiguous."""
    paths = list(dict.fromkeys(path for draft in drafts for path in draft.compared))
    last = [path.rpartition(".")[2] for path in paths]
    return {
        path: word if last.count(word) == 1 else path
        for path, word in zip(paths, last, strict=True)
    }
