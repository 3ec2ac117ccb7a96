"""What is wrong in something that a person wrote: where, what must hold, what was given, what to write."""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic_core import PydanticCustomError

Path: TypeAlias = tuple[str | int, ...]

CLOSE = 0.6
"""Likeness from which a misspelt name is taken for another, in [0, 1]."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a spec: the path of the field, and a sentence."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.message}" if self.path else self.message


class SpecError(ValueError):
    """What a person wrote cannot be used; holds every problem that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def problem(message: str, *, at: str = "") -> PydanticCustomError:
    """An error for a validator to raise: a finished sentence, and the dotted path below the field."""
    # Pydantic formats `{name}` in the message, so the sentence travels as a value.
    return PydanticCustomError("seqtune", "{message}", {"message": message, "at": at})


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The end of an error sentence: the right name if one is near, otherwise all of them."""
    names = list(candidates)
    close = near(name, names)
    if close is not None:
        return f"; did you mean {close}?"
    return f"; it is one of {listed(names)}" if names else ""


def near(name: str, candidates: Iterable[str]) -> str | None:
    """The one candidate that is most like a name; None if none is like it, or several equally."""
    likeness = {each: difflib.SequenceMatcher(a=name, b=each).ratio() for each in candidates}
    best = [each for each, ratio in likeness.items() if ratio == max(likeness.values())]
    return best[0] if len(best) == 1 and likeness[best[0]] >= CLOSE else None


def shown(value: Any) -> str:
    """A value that was given, as YAML has it where Python's word is another."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def listed(names: Iterable[str]) -> str:
    """Names in the order given, with commas."""
    return ", ".join(names)


def dotted(path: Path) -> str:
    """A path as people write it: `forcing.phases[0].rate`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
