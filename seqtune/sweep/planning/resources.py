"""Resources of a run while it trains: cores, GPUs and memory.

Resources are not part of a run's spec: the same run may be done with more of them. Each entry of
`when` has conditions and the amounts of the runs that meet them; entries are merged in the order of
the file, as arms are merged over `base`.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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

SPARE = 0.2
"""Share of a GPU's memory that stays free when runs are packed by their measured memory."""

MOST_SHARING = 100
"""Most runs that share a GPU; Ray counts shares in four decimals."""


@dataclass(frozen=True)
class ResourceRequest:
    """What one run requests from a node.

    Attributes:
        cpu: cores; `gpu` likewise; runs with fractions share one.
        memory: bytes that Ray counts as used on the node; it is not a limit for the run.
        accelerator: Ray's name of the GPU type, or None for any.
    """

    cpu: float
    gpu: float = 0.0
    memory: float = 0.0
    accelerator: str | None = None

    def bundle(self) -> dict[str, float]:
        """Return the amounts by Ray's names, without zeros."""
        amounts = {"CPU": self.cpu, "GPU": self.gpu, "memory": self.memory}
        if self.accelerator is not None:
            # Ray's convention: a node with the type has 1 of it, and a run takes next to nothing.
            amounts[f"accelerator_type:{self.accelerator}"] = 0.001
        return {name: amount for name, amount in amounts.items() if amount > 0}

    def __str__(self) -> str:
        words = [f"cpu={self.cpu:g}", f"gpu={self.gpu:g}"]
        words += [f"memory={format_bytes(self.memory)}"] if self.memory else []
        words += [f"accelerator={self.accelerator}"] if self.accelerator else []
        return f"({', '.join(words)})"


def gpu_share(peak_bytes: float, total_bytes: float) -> float:
    """Return the share of a GPU for as many equal runs as fit, with `SPARE` of its memory to spare.

    Args:
        peak_bytes: most memory in use while one run trained on it.
        total_bytes: of the GPU.

    Returns:
        1/n for n runs a GPU, rounded down to the four decimals that Ray counts; 1 if not even two
        fit.
    """
    fitting = math.floor(total_bytes * (1 - SPARE) / peak_bytes)
    return math.floor(10_000 / min(max(fitting, 1), MOST_SHARING)) / 10_000


def format_bytes(count: float) -> str:
    """Return a number of bytes as text: `1.5 GiB`."""
    power = min(4, int(math.log2(count) // 10)) if count >= 1 else 0
    unit = ("B", "KiB", "MiB", "GiB", "TiB")[power]
    return f"{count / 1024**power:.4g} {unit}"


AMOUNTS = ("cpu", "gpu", "memory", "accelerator")
"""What a run can request from a node."""

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
    """Return the number of bytes that text such as `4 GiB` or `500 MB` means."""
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
    """An entry of `when`: conditions (`arm`, or dotted paths), and the amounts of such runs."""

    model_config = ConfigDict(extra="allow")

    arm: str | None = None
    cpu: Cores | None = None
    gpu: Gpus | None = None
    memory: Memory | None = None
    accelerator: str | None = Field(default=None, min_length=1)

    @property
    def conditions(self) -> dict[str, Any]:
        """By `arm` or dotted path, a value, or a mapping with at_least and at_most."""
        arm = {} if self.arm is None else {"arm": self.arm}
        return {**arm, **(self.model_extra or {})}

    @property
    def amounts(self) -> dict[str, Any]:
        """What a run requests that meets the conditions."""
        return {name: getattr(self, name) for name in AMOUNTS if getattr(self, name) is not None}

    def fits(self, values: Mapping[str, Any]) -> bool:
        """Return whether a run's values meet all conditions."""
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
            raise problem("has no condition: write arm, or a dotted path and its value")
        if not self.amounts:
            raise problem(f"has no amount: write one of {', '.join(AMOUNTS)}")
        return self


class Resources(Spec):
    """Resources of one run while it trains; runs with fractions share a core or a GPU."""

    cpu: Cores = 1.0
    """Cores; torch uses as many threads."""
    gpu: Gpus = 0.0
    """GPUs. `auto`: the first runs of a cell take a whole one; from their measured memory follows
    how many later runs share one, with a fifth of its memory left free."""
    memory: Memory | None = None
    """Main memory: bytes, or text such as 4 GiB. Ray counts it as used; it is not a limit for the
    run."""
    accelerator: str | None = Field(default=None, min_length=1)
    """The GPU type that a node must have, by Ray's name: H200."""
    wait_seconds: float | None = Field(default=None, ge=0)
    """How long runs may wait for a node that can hold them, on a cluster that adds nodes on
    request. Null: a node must be there at the start; if it is lost, runs wait five minutes for
    another."""
    when: tuple[Case, ...] = ()
    """Other amounts for runs that meet conditions; later entries are merged over earlier ones."""

    @field_validator("when", mode="before")
    @classmethod
    def _as_tuple(cls, when: Any) -> Any:
        return tuple(when) if isinstance(when, list) else when

    def request(self, values: Mapping[str, Any], *, share: float | None = None) -> ResourceRequest:
        """Return what a run requests.

        Args:
            values: of the run, from `values_of`.
            share: of a GPU, for a run with `gpu: auto`; None for a whole one.
        """
        written = {name: amount for name, (amount, _) in self._written(values).items()}
        gpu = written["gpu"]
        written["gpu"] = (1.0 if share is None else share) if gpu == "auto" else gpu
        return ResourceRequest(**{**written, "memory": written["memory"] or 0.0})

    @property
    def packs(self) -> bool:
        """Whether some runs have `gpu: auto`."""
        return "auto" in (self.gpu, *(case.gpu for case in self.when))

    def origin(self, name: str, values: Mapping[str, Any]) -> Path:
        """Return where in the file an amount of a run is written."""
        return self._written(values)[name][1]

    def path_problems(
        self, known: Mapping[str, Any], *, arms: Mapping[str, Any]
    ) -> Iterator[Problem]:
        """Yield conditions on paths and arms that no run has.

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
        """Every amount that applies to a run, with its path in the file."""
        found: dict[str, tuple[Any, Path]] = {
            name: (getattr(self, name), ("resources", name)) for name in AMOUNTS
        }
        for index, case in enumerate(self.when):
            if case.fits(values):
                at = ("resources", "when", index)
                found |= {name: (amount, (*at, name)) for name, amount in case.amounts.items()}
        return found


def values_of(run: Spec, *, arm: str | None) -> dict[str, Any]:
    """Return what conditions refer to: the run's values by dotted path, and its arm."""
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
