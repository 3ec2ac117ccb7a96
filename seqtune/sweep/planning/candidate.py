"""A cell before its check: what of a sweep file it is made of, and everything wrong with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from seqtune.config.errors import Path, Problem, SpecError, dotted, listed
from seqtune.config.nested import assign, has, merge
from seqtune.runs.spec import RunSpec
from seqtune.sweep.planning.cell import Cell
from seqtune.sweep.planning.cell_names import key_of, text_of
from seqtune.sweep.planning.distributions import Choice, Range
from seqtune.sweep.planning.grid import Compared
from seqtune.sweep.planning.match import Matched, MatchSpec
from seqtune.sweep.planning.search_points import grid_points, tried_points
from seqtune.sweep.planning.spec import GridSpec, SweepSpec
from seqtune.training.measurement import COMMON_OBJECTIVES, FREE, GENERATED, OBJECTIVES

ABSENT = {
    "generate/valid_cut": "no string is cut there",
    "valid/kl": "the truth is not known, or it is certain, and valid/excess the same",
}
"""Why a task has no such metric, where the reason is one of its own."""


@dataclass(frozen=True)
class Candidate:
    """A cell before its check."""

    sweep: SweepSpec
    arm: str | None
    compared: Compared
    tune: Mapping[str, Range | Choice]
    matched: Matched | None = None

    @property
    def data(self) -> dict[str, Any]:
        """The run as plain data, but for tuned values and seed."""
        blocks = self.sweep.arms[self.arm].blocks if self.arm is not None else {}
        solved = {} if self.matched is None else {self.matched.by: self.matched.value}
        return assign(merge(self.sweep.base, blocks), {**self.compared, **solved})

    @property
    def match(self) -> MatchSpec | None:
        """What it is brought to the same of: the arm's own, or else the sweep's."""
        own = self.sweep.arms[self.arm].match if self.arm is not None else None
        return self.sweep.match if own is None else own

    @property
    def match_path(self) -> Path:
        """Where in the file that is written."""
        own = self.arm is not None and self.sweep.arms[self.arm].match is not None
        return ("arms", str(self.arm), "match") if own else ("match",)

    @property
    def label(self) -> str:
        """Its compared values by their whole paths, for errors."""
        values = ", ".join(f"{path}={text_of(value)}" for path, value in self.compared.items())
        return f"({': '.join(part for part in (self.arm, values) if part)})"

    def problems(self) -> Iterator[Problem]:
        """Everything wrong with the cell, at the paths of the file."""
        yield from self._role_problems()
        points = tried_points(self.tune)
        wrong: dict[Path, list[tuple[dict[str, Any], Problem]]] = {}
        for tuned in points:
            try:
                spec = RunSpec.parse(assign(self.data, tuned))
            except SpecError as error:
                for problem in error.problems:
                    wrong.setdefault(problem.path, []).append((tuned, problem))
                continue
            yield from self._metric_problems(spec)
            yield from self._grace_problems(spec)
        for path, cases in wrong.items():
            tuned, problem = cases[0]
            beside = self._tuned_beside(path, tuned) if len(cases) < len(points) else ""
            yield Problem(self.origin(path), f"{self._sentence(problem)}{beside}")

    def cell(self, names: Mapping[str, str]) -> Cell:
        """The cell, once it is known that nothing is wrong with it; `names` has a short one for every path."""
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
            matched=self.matched,
        )

    def _trials(self) -> int:
        search = self.sweep.search
        if search is None or not self.tune:
            return 0
        return search.trials if search.trials is not None else len(grid_points(self.tune))

    def _role_problems(self) -> Iterator[Problem]:
        if "seed" in self.data:
            yield Problem(
                self.origin(("seed",)), "seeds are given out by search and confirm; leave it out"
            )
        for path in self.tune:
            where = self.role_path("tune", path)
            for other in self.compared:
                if path == other or path.startswith(f"{other}.") or other.startswith(f"{path}."):
                    yield Problem(
                        where,
                        f"a path has one role, but {other} is compared; leave one of them out",
                    )
            if isinstance(self._grid(), GridSpec) and isinstance(self.tune[path], Range):
                yield Problem(
                    where,
                    "the grid sampler needs {choice: [...]}, but this is a range; write one, or another sampler",
                )
            for other, value in self.tune[path].when.items():
                if other not in self.tune:
                    known = ", ".join(each for each in self.tune if each != path) or "nothing else"
                    yield Problem((*where, "when"), f"{other} is not tuned here; tuned are {known}")
                elif not self.tune[other].takes(value):
                    yield Problem((*where, "when"), f"{other} never takes the value {value!r}")
        for role, names in (("tune", self.tune), ("compare", self.compared)):
            if "seed" in names:
                yield Problem(
                    self.role_path(role, "seed"),
                    "seeds are given out by search and confirm; leave it out",
                )

    def _grid(self) -> Any:
        return self.sweep.search.sampler if self.sweep.search is not None else None

    def _metric_problems(self, spec: RunSpec) -> Iterator[Problem]:
        metric = self.sweep.metric
        generated = metric in GENERATED
        if metric not in COMMON_OBJECTIVES and metric not in spec.task.scores:
            why = "nothing is generated there" if generated else "its floor is not known"
            why = ABSENT.get(metric, why)
            has = {*COMMON_OBJECTIVES, *spec.task.scores}
            one = listed(name for name in OBJECTIVES if name in has)
            yield Problem(
                ("metric",), f"no run of this task has {metric}: {why}; write one of {one}"
            )
        elif generated and spec.evaluation.generate == 0:
            yield Problem(
                ("metric",), f"no run has {metric}: evaluation.generate is 0; write how many"
            )
        elif metric in FREE and spec.evaluation.free == 0:
            yield Problem(("metric",), f"no run has {metric}: evaluation.free is 0; write how many")

    def _grace_problems(self, spec: RunSpec) -> Iterator[Problem]:
        grace = getattr(self.sweep.search.pruner, "grace", 0) if self.sweep.search else 0
        epochs = spec.training.epochs
        if self.tune and grace > epochs:
            yield Problem(
                ("search", "pruner", "grace"),
                "grace <= training.epochs must hold, "
                f"but got (grace={grace}, training.epochs={epochs})",
            )

    def origin(self, path: Path) -> Path:
        """Where in the file a value of the run was written."""
        name = dotted(path)
        if self.matched is not None and name == self.matched.by:
            return self.match_path
        for role, names in (("tune", self.tune), ("compare", self.compared)):
            for candidate in names:
                if name == candidate or name.startswith((candidate + ".", candidate + "[")):
                    return self.role_path(role, candidate)
        if self.arm is not None and _holds(self.sweep.arms[self.arm].blocks, path):
            return ("arms", self.arm, *path)
        if not _holds(self.sweep.base, path):
            for role, names in (("tune", self.tune), ("compare", self.compared)):
                for candidate in names:
                    if name and candidate.startswith(name + "."):
                        return self.role_path(role, candidate)
        return ("base", *path)

    def _tuned_beside(self, path: Path, tuned: Mapping[str, Any]) -> str:
        """Which point of the search is meant, where others are in order: the values in the same part."""
        near = {name: value for name, value in tuned.items() if name.split(".")[0] in path[:1]}
        values = ", ".join(f"{name}={text_of(value)}" for name, value in (near or tuned).items())
        return "" if [*near] == [dotted(path)] else f" (tune would try {values})"

    def _sentence(self, problem: Problem) -> str:
        """An unknown path is told in the words of the roles, or where its block stands in the file."""
        origin = self.origin(problem.path)
        if {"tune", "compare"} & set(origin[:3]):
            return problem.message.replace("no such field", "no such path", 1)
        block = dotted(origin[: len(origin) - len(problem.path)])
        meant = "no such field; did you mean "
        return problem.message.replace(meant, f"{meant}{block}.", 1)

    def role_path(self, role: str, path: str) -> Path:
        """The entry of a path in the arm's own block if it stands there, else in the sweep's."""
        if self.arm is not None and path in getattr(self.sweep.arms[self.arm], role):
            return ("arms", self.arm, role, path)
        block = getattr(self.sweep, role)
        return (role, path) if path in block else (role, "zip")


def _holds(data: Any, path: Path) -> bool:
    for part in path:
        if not has(data, part):
            return False
        data = data[part]
    return bool(path)
