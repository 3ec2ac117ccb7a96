"""What a run holds while it trains; more of it by arm, or by the run's own values.

Resources are no part of what a run is: the same run may be done with more of them. `when` is a list of
entries, each with what must hold of a run beside what the run holds then, in the way that `exclude` names
cells: an entry is read as one sentence, and what several entries say is laid over one another in the
order of the file, as arms are laid over `base`.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from seqtune.config.errors import Path, Problem, nearest, problem, shown
from seqtune.config.spec import Spec, paths
from seqtune.config.unions import OrInShort
from seqtune.sweep.planning.resource_request import ResourceRequest

AMOUNTS = ("cpu", "gpu", "memory", "accelerator")
"""What a run can ask a node for."""

_UNITS = {
    **{name: 1000**power for power, name in enumerate(("B", "kB", "MB", "GB", "TB"))},
    **{name: 1024**power for power, name in enumerate(("KiB", "MiB", "GiB", "TiB"), start=1)},
}


def _whole_above_one(amount: float) -> float:
    if amount > 1 and amount != int(amount):
        raise problem(f"must be a whole number above 1, but got {amount}")
    return amount


def _check_gpus(gpu: Any) -> Any:
    if isinstance(gpu, int | float) and not isinstance(gpu, bool) and gpu >= 0:
        return _whole_above_one(gpu)
    if gpu != "auto":
        raise problem(f"must be a number, at least 0, or auto, but got {shown(gpu)}")
    return gpu


def bytes_of(text: str) -> float:
    """The bytes that text such as `4 GiB` or `500 MB` means."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*", text)
    if found is None or found[2] not in _UNITS:
        units = ", ".join(_UNITS)
        raise problem(f"must be bytes, or text such as 4 GiB (of {units}), but got {text!r}")
    return float(found[1]) * _UNITS[found[2]]


Cores: TypeAlias = Annotated[float, Field(gt=0), AfterValidator(_whole_above_one)]
Gpus: TypeAlias = Annotated[float | Literal["auto"], BeforeValidator(_check_gpus)]
Memory: TypeAlias = Annotated[
    float,
    Field(gt=0),
    BeforeValidator(lambda given: bytes_of(given) if isinstance(given, str) else given),
    OrInShort({"type": "string"}),
]


class Case(Spec):
    """An entry of `when`: what must hold of a run (`arm`, or dotted paths), and what it holds then."""

    model_config = ConfigDict(extra="allow")

    arm: str | None = None
    cpu: Cores | None = None
    gpu: Gpus | None = None
    memory: Memory | None = None
    accelerator: str | None = Field(default=None, min_length=1)

    @property
    def conditions(self) -> dict[str, Any]:
        """What must hold: by `arm` or dotted path, a value, or a mapping with at_least and at_most."""
        arm = {} if self.arm is None else {"arm": self.arm}
        return {**arm, **(self.model_extra or {})}

    @property
    def amounts(self) -> dict[str, Any]:
        """What a run holds for which it does."""
        return {name: getattr(self, name) for name in AMOUNTS if getattr(self, name) is not None}

    def fits(self, values: Mapping[str, Any]) -> bool:
        """Whether all that must hold does."""
        return all(
            path in values and _holds(condition, values[path])
            for path, condition in self.conditions.items()
        )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for path, condition in (self.model_extra or {}).items():
            if "." not in path:
                known = (*AMOUNTS, "arm")
                raise problem(
                    f"is neither a dotted path, such as model.width, nor one of {', '.join(known)}"
                    f"{_close(path, known)}",
                    at=path,
                )
            _check_condition(path, condition)
        if not self.conditions:
            raise problem(
                "says of no run that it is meant: write arm, or a dotted path and its value"
            )
        if not self.amounts:
            raise problem(f"gives such a run nothing: write one of {', '.join(AMOUNTS)}")
        return self


class Resources(Spec):
    """What one run holds while it trains; fractions share a core or a GPU."""

    cpu: Cores = 1.0
    """Cores; torch uses as many threads."""
    gpu: Gpus = 0.0
    """GPUs. `auto`: a cell's first runs take a whole one, and what they were measured to hold there says
    how many of its later runs share one, with `SPARE` of its memory left free."""
    memory: Memory | None = None
    """Main memory: bytes, or text such as 4 GiB. Ray counts it as taken; it holds no run below it."""
    accelerator: str | None = Field(default=None, min_length=1)
    """The kind of GPU that a node must have, by Ray's name for it: H200."""
    wait_seconds: float | None = Field(default=None, ge=0)
    """How long runs may wait for a node that can hold them, where nodes come when they are asked for. Null:
    a node must be there at the beginning; those that are lost may be missed for five minutes."""
    when: tuple[Case, ...] = ()
    """What runs hold instead for which something else holds; later entries are laid over earlier ones."""

    @field_validator("when", mode="before")
    @classmethod
    def _listed(cls, when: Any) -> Any:
        return tuple(when) if isinstance(when, list) else when

    def request(self, values: Mapping[str, Any], *, share: float | None = None) -> ResourceRequest:
        """What a run asks for.

        Args:
            values: of the run, as `values_of` has them.
            share: of a GPU, for a run that takes `auto` of it; None for a whole one.
        """
        written = {name: amount for name, (amount, _) in self._written(values).items()}
        gpu = written["gpu"]
        written["gpu"] = (1.0 if share is None else share) if gpu == "auto" else gpu
        return ResourceRequest(**{**written, "memory": written["memory"] or 0.0})

    @property
    def packs(self) -> bool:
        """Whether some runs' share of a GPU is measured."""
        return "auto" in (self.gpu, *(case.gpu for case in self.when))

    def origin(self, name: str, values: Mapping[str, Any]) -> Path:
        """Where in the file it is written how much of something a run holds."""
        return self._written(values)[name][1]

    def path_problems(
        self, known: Mapping[str, Any], *, arms: Mapping[str, Any]
    ) -> Iterator[Problem]:
        """Conditions on what is in no run.

        Args:
            known: every dotted path of any run.
            arms: every arm's name.
        """
        for index, case in enumerate(self.when):
            at = ("resources", "when", index)
            for path in case.model_extra or {}:
                if path not in known:
                    yield Problem((*at, path), f"no such path in any run{nearest(path, known)}")
            if case.arm is not None and case.arm not in arms:
                hint = nearest(case.arm, arms) if arms else "; this sweep has none"
                yield Problem((*at, "arm"), f"no such arm: {case.arm}{hint}")

    def _written(self, values: Mapping[str, Any]) -> dict[str, tuple[Any, Path]]:
        """Every amount that applies to a run, with its place in the file."""
        found: dict[str, tuple[Any, Path]] = {
            name: (getattr(self, name), ("resources", name)) for name in AMOUNTS
        }
        for index, case in enumerate(self.when):
            if case.fits(values):
                at = ("resources", "when", index)
                found |= {name: (amount, (*at, name)) for name, amount in case.amounts.items()}
        return found


def values_of(run: Spec, *, arm: str | None) -> dict[str, Any]:
    """What conditions are asked of: the run's values by dotted path, and its arm."""
    return {**paths(run), **({} if arm is None else {"arm": arm})}


def _holds(condition: Any, value: Any) -> bool:
    if not isinstance(condition, Mapping):
        return (type(condition) is type(value) and condition == value) or _equal_numbers(
            condition, value
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return condition.get("at_least", -math.inf) <= value <= condition.get("at_most", math.inf)


def _equal_numbers(one: Any, other: Any) -> bool:
    both = all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in (one, other)
    )
    return both and one == other


def _check_condition(path: str, condition: Any) -> None:
    bounds = ("at_least", "at_most")
    if isinstance(condition, Mapping):
        for name, bound in condition.items():
            if name not in bounds:
                raise problem(f"no such bound: {name}{nearest(str(name), bounds)}", at=path)
            if isinstance(bound, bool) or not isinstance(bound, int | float):
                raise problem(f"{name} must be a number, but got {shown(bound)}", at=path)
    if isinstance(condition, list) or condition == {}:
        raise problem(
            f"must be a value, or {{at_least: n}} or {{at_most: n}}, but got {condition!r}", at=path
        )


def _close(word: str, known: tuple[str, ...]) -> str:
    found = nearest(word, known)
    return found if "did you mean" in found else ""
