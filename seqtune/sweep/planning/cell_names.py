"""What cells are called: for people, and for the names of their runs' directories."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

LONGEST_KEY = 100


def key_of(name: str, *, compared: Mapping[str, Any]) -> str:
    """A cell's name as part of a file name: it depends on nothing but the cell, so that a sweep can grow.

    Cells that compare blocks have long names. Theirs lose signs that say nothing, and a key that has
    to be cut ends in letters of a hash of the values: what differs may be in the part that is cut off.
    """
    if not any(map(_has_block, compared.values())):
        return _cut(_plain(name), LONGEST_KEY)
    # Where a block inside a block ends stays visible: fields that follow are the outer one's.
    key = _plain(name.replace("; ", "-").replace(")", "."))
    key = re.sub("(?<==)_+|_+(?=_)|_+(?=-|$)", "", key)
    if len(key.encode()) <= LONGEST_KEY:
        return key
    exact = json.dumps(compared, sort_keys=True)
    end = hashlib.sha256(exact.encode()).hexdigest()[:6]
    return f"{_cut(key, LONGEST_KEY - len(end) - 1)}-{end}"


def _cut(key: str, most: int) -> str:
    """At most so many bytes of a key: they are what file systems count."""
    return key.encode()[:most].decode(errors="ignore")


def _plain(name: str) -> str:
    letters = name.replace(", ", "_")
    plain = "".join(letter if letter.isalnum() or letter in "=.-" else "_" for letter in letters)
    # A name that begins so is hidden, or taken for an option.
    return f"_{plain}" if plain.startswith((".", "-")) else plain


def text_of(value: Any) -> str:
    """A value as people read it.

    Example:
        `{kind: phased, granularity: step, phases: [{epochs: 3, rate: 1.0}, {epochs: 7, rate: [0.7, 0.4]}]}` is
        `phased granularity=step phases=[epochs=3 rate=1.0; 7 [0.7, 0.4]]`.
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
    """Blocks in a list; one that has the fields of the one before it is its values alone."""
    before = None
    for each in values:
        fields = [*each] if isinstance(each, Mapping) and "kind" not in each else None
        known = fields is not None and fields == before
        yield " ".join(map(_field, each.values())) if known else text_of(each)
        before = fields


def _field(value: Any) -> str:
    """A value inside a block, in brackets where it has parts that could be taken for the block's own."""
    text = text_of(value)
    return f"({text})" if isinstance(value, Mapping) and " " in text else text


def _has_block(value: Any) -> bool:
    """Whether a value is a block, or holds one."""
    match value:
        case Mapping():
            return True
        case list():
            return any(map(_has_block, value))
        case _:
            return False
