"""A cell of a sweep, and its name for people and in file names."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from seqtune.config.nested import assign
from seqtune.runs.spec import RunSpec
from seqtune.sweep.planning.distributions import Choice, Range, first_point
from seqtune.sweep.planning.grid import Compared
from seqtune.sweep.planning.spec import Amount


@dataclass(frozen=True)
class Matched:
    """The result of `match` for a cell.

    Attributes:
        by: dotted path of the solved field.
        value: its value.
        amount: the matched quantity; `target` is its wanted value, `reached` the actual one.
    """

    by: str
    value: int
    amount: Amount
    target: float
    reached: float

    @property
    def mismatch(self) -> float:
        """Relative mismatch; negative if too little."""
        return self.reached / self.target - 1

    def to_data(self) -> dict[str, Any]:
        """Return plain data, for plan.json."""
        return {
            "by": self.by,
            "value": self.value,
            "of": self.amount,
            "target": self.target,
            "reached": self.reached,
            "mismatch": self.mismatch,
        }


@dataclass(frozen=True)
class Cell:
    """One combination of compared values: searched on its own, then confirmed.

    Attributes:
        name: for people, unique in the sweep: `height=2, layers=1`.
        key: the name in file names.
        arm: name of its arm, if the sweep has any.
        compared: the compared values, by dotted path.
        tune: the search space, by dotted path.
        trials: number of search trials.
        data: the run as plain data, without tuned values and seed.
        matched: what was solved for the cell and is part of `data`; None if nothing was.
    """

    name: str
    key: str
    arm: str | None
    compared: Compared
    tune: Mapping[str, Range | Choice]
    trials: int
    data: dict[str, Any] = field(repr=False)
    matched: Matched | None = None

    def run(self, *, tuned: Mapping[str, Any], seed: int) -> RunSpec:
        """Return the run with these tuned values and this seed."""
        return RunSpec.parse(assign(self.data, {**tuned, "seed": seed}))

    def fixed(self) -> dict[str, Any]:
        """Return the plain data that all runs of the cell share: tuned values null, no seed."""
        return open_fields(self.run(tuned=first_point(self.tune), seed=0), paths=self.tune)


def open_fields(spec: RunSpec, *, paths: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's plain data without its seed and with null at the given paths."""
    data = spec.to_data()
    del data["seed"]
    return assign(data, dict.fromkeys(paths))


LONGEST_KEY = 100


def key_of(name: str, *, compared: Mapping[str, Any]) -> str:
    """Return a cell's name for file names: it depends on the cell alone, so that a sweep can grow.

    Cells that compare blocks have long names. Redundant characters are removed, and a key that is
    cut ends in a hash of the values, since cells may differ in the part that is cut off.
    """
    if not any(map(_has_block, compared.values())):
        return _cut(_plain(name), LONGEST_KEY)
    # Keep the end of a nested block visible: fields that follow belong to the outer one.
    key = _plain(name.replace("; ", "-").replace(")", "."))
    key = re.sub("(?<==)_+|_+(?=_)|_+(?=-|$)", "", key)
    if len(key.encode()) <= LONGEST_KEY:
        return key
    exact = json.dumps(compared, sort_keys=True)
    end = hashlib.sha256(exact.encode()).hexdigest()[:6]
    return f"{_cut(key, LONGEST_KEY - len(end) - 1)}-{end}"


def _cut(key: str, most: int) -> str:
    """Cut a key to so many bytes, which is what file systems limit."""
    return key.encode()[:most].decode(errors="ignore")


def _plain(name: str) -> str:
    letters = name.replace(", ", "_")
    plain = "".join(letter if letter.isalnum() or letter in "=.-" else "_" for letter in letters)
    # A leading dot would hide the file; a leading dash looks like an option.
    return f"_{plain}" if plain.startswith((".", "-")) else plain


def text_of(value: Any) -> str:
    """Return a value as text for people.

    Example:
        `{kind: phased, phases: [{epochs: 3, rate: 1.0}, {epochs: 7, rate: [0.7, 0.4]}]}` is
        `phased phases=[epochs=3 rate=1.0; 7 [0.7, 0.4]]`.
    """
    match value:
        case str():
            return value
        case Mapping():
            fields = (f"{name}={_field(each)}" for name, each in value.items() if name != "kind")
            return " ".join([*([text_of(value["kind"])] if "kind" in value else []), *fields])
        case list() if _has_block(value):
            return f"[{'; '.join(_entries(value))}]"
        case _:
            return json.dumps(value)


def _entries(values: list[Any]) -> Iterator[str]:
    """Entries of a list; a block with the same fields as the one before shows only its values."""
    before = None
    for each in values:
        fields = [*each] if isinstance(each, Mapping) and "kind" not in each else None
        known = fields is not None and fields == before
        yield " ".join(map(_field, each.values())) if known else text_of(each)
        before = fields


def _field(value: Any) -> str:
    """A value inside a block; in brackets if its parts could be taken for the block's own."""
    text = text_of(value)
    return f"({text})" if isinstance(value, Mapping) and " " in text else text


def _has_block(value: Any) -> bool:
    """Whether a value is a block or contains one."""
    match value:
        case Mapping():
            return True
        case list():
            return any(map(_has_block, value))
        case _:
            return False
