"""Errors in user input: where, what must hold, what was given, what to write instead."""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic_core import PydanticCustomError

Path: TypeAlias = tuple[str | int, ...]

CLOSE = 0.6
"""Similarity in [0, 1] from which a misspelt name is taken for a known one."""


@dataclass(frozen=True)
class Problem:
    """One error in a spec: the path of the field, and a sentence."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.message}" if self.path else self.message


class SpecError(ValueError):
    """A spec is invalid; `problems` holds all errors that were found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def problem(message: str, *, at: str = "") -> PydanticCustomError:
    """Return an error for a validator to raise.

    Args:
        message: a complete sentence.
        at: dotted path of the error, relative to the validated field.
    """
    # Pydantic formats `{name}` in messages, so the sentence is passed as a value.
    return PydanticCustomError("seqtune", "{message}", {"message": message, "at": at})


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return the end of an error message: the closest name, or else all of them."""
    names = list(candidates)
    close = near(name, names)
    if close is not None:
        return f"; did you mean {close}?"
    return f"; it is one of {listed(names)}" if names else ""


def near(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate closest to a name; None if none is close, or several equally."""
    ratios = {each: difflib.SequenceMatcher(a=name, b=each).ratio() for each in candidates}
    best = [each for each, ratio in ratios.items() if ratio == max(ratios.values())]
    return best[0] if len(best) == 1 and ratios[best[0]] >= CLOSE else None


def shown(value: Any) -> str:
    """Format a given value for an error message: null and booleans as in YAML, others as repr."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def listed(names: Iterable[str]) -> str:
    """Join names with commas."""
    return ", ".join(names)


def dotted(path: Path) -> str:
    """Format a path as users write it: `forcing.phases[0].rate`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
