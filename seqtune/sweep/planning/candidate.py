"""A cell before it is checked: its parts of the sweep file, and every problem with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from seqtune.config.errors import Path, Problem, SpecError, dotted, listed
from seqtune.config.nested import assign, has, merge
from seqtune.runs.spec import RunSpec
from seqtune.sweep.planning.cell import Cell, Matched, key_of, text_of
from seqtune.sweep.planning.distributions import Choice, Range, grid_points, tried_points
from seqtune.sweep.planning.grid import Compared
from seqtune.sweep.planning.search_spec import GridSpec
from seqtune.sweep.planning.spec import MatchSpec, SweepSpec
from seqtune.training.measurement import COMMON_OBJECTIVES, FREE, GENERATED, OBJECTIVES

ABSENT = {
    "generate/valid_cut": "its strings are never cut",
    "valid/kl": "the true distribution is unknown, or certain, and then valid/excess is the same",
}
"""Why a task lacks a metric, if for a reason of its own."""


@dataclass(frozen=True)
class Candidate:
    """A cell before it is checked."""

    sweep: SweepSpec
    arm: str | None
    compared: Compared
    tune: Mapping[str, Range | Choice]
    matched: Matched | None = None

    @property
    def data(self) -> dict[str, Any]:
        """The run as plain data, without tuned values and seed."""
        blocks = self.sweep.arms[self.arm].blocks if self.arm is not None else {}
        solved = {} if self.matched is None else {self.matched.by: self.matched.value}
        return assign(merge(self.sweep.base, blocks), {**self.compared, **solved})

    @property
    def match(self) -> MatchSpec | None:
        """The arm's own `match`, or else the sweep's."""
        own = self.sweep.arms[self.arm].match if self.arm is not None else None
        return self.sweep.match if own is None else own

    @property
    def match_path(self) -> Path:
        """Where in the file `match` is written."""
        own = self.arm is not None and self.sweep.arms[self.arm].match is not None
        return ("arms", str(self.arm), "match") if own else ("match",)

    @property
    def label(self) -> str:
        """Compared values by whole path, for error messages."""
        values = ", ".join(f"{path}={text_of(value)}" for path, value in self.compared.items())
        return f"({': '.join(part for part in (self.arm, values) if part)})"

    def problems(self) -> Iterator[Problem]:
        """Yield every problem with the cell, at its path in the file."""
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
            yield from self._grace_period_problems(spec)
        for path, cases in wrong.items():
            tuned, problem = cases[0]
            hint = self._tuned_hint(path, tuned) if len(cases) < len(points) else ""
            yield Problem(self.origin(path), f"{self._sentence(problem)}{hint}")

    def cell(self, names: Mapping[str, str]) -> Cell:
        """Return the cell, if it has no problems; `names` has a short name for every path."""
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
            yield Problem(self.origin(("seed",)), "search and confirm set the seeds; leave it out")
        for path in self.tune:
            where = self.role_path("tune", path)
            for other in self.compared:
                if path == other or path.startswith(f"{other}.") or other.startswith(f"{path}."):
                    yield Problem(
                        where,
                        f"a path has one role, but {other} is compared; remove one of them",
                    )
            if isinstance(self._grid(), GridSpec) and isinstance(self.tune[path], Range):
                yield Problem(
                    where,
                    "the grid sampler needs {choice: [...]}, but this is a range; write one, "
                    "or another sampler",
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
                    "search and confirm set the seeds; leave it out",
                )

    def _grid(self) -> Any:
        return self.sweep.search.sampler if self.sweep.search is not None else None

    def _metric_problems(self, spec: RunSpec) -> Iterator[Problem]:
        metric = self.sweep.metric
        generated = metric in GENERATED
        if metric not in COMMON_OBJECTIVES and metric not in spec.task.scores:
            why = "nothing is generated" if generated else "its floor is unknown"
            why = ABSENT.get(metric, why)
            has = {*COMMON_OBJECTIVES, *spec.task.scores}
            one = listed(name for name in OBJECTIVES if name in has)
            yield Problem(
                ("metric",), f"no run of this task has {metric}: {why}; write one of {one}"
            )
        elif generated and spec.evaluation.generate == 0:
            yield Problem(
                ("metric",),
                f"no run has {metric}: evaluation.generate is 0; set the number of strings",
            )
        elif metric in FREE and spec.evaluation.free == 0:
            yield Problem(
                ("metric",), f"no run has {metric}: evaluation.free is 0; set the number of strings"
            )

    def _grace_period_problems(self, spec: RunSpec) -> Iterator[Problem]:
        search, epochs = self.sweep.search, spec.training.epochs
        grace_period = getattr(search.pruner, "grace_period", 0) if search else 0
        if self.tune and grace_period > epochs:
            yield Problem(
                ("search", "pruner", "grace_period"),
                "grace_period <= training.epochs must hold, "
                f"but got (grace_period={grace_period}, training.epochs={epochs})",
            )

    def origin(self, path: Path) -> Path:
        """Return where in the file a value of the run is written."""
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

    def _tuned_hint(self, path: Path, tuned: Mapping[str, Any]) -> str:
        """Name the tuned values at fault, if other values are valid: those in the same block."""
        near = {name: value for name, value in tuned.items() if name.split(".")[0] in path[:1]}
        values = ", ".join(f"{name}={text_of(value)}" for name, value in (near or tuned).items())
        return "" if [*near] == [dotted(path)] else f" (tune would try {values})"

    def _sentence(self, problem: Problem) -> str:
        """The message, with an unknown path adapted to where it stands in the file."""
        origin = self.origin(problem.path)
        if {"tune", "compare"} & set(origin[:3]):
            return problem.message.replace("no such field", "no such path", 1)
        block = dotted(origin[: len(origin) - len(problem.path)])
        meant = "no such field; did you mean "
        return problem.message.replace(meant, f"{meant}{block}.", 1)

    def role_path(self, role: str, path: str) -> Path:
        """Return where a path is written: in the arm's own block, or else in the sweep's."""
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
