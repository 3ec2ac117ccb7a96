"""Specs: frozen values read from YAML, with access by dotted path.

A spec describes something, and its `.build()` makes it. A hyperparameter's dotted path
(`model.layers`) is its only name everywhere. This module imports neither torch nor Ray, so that
errors in a file appear at once.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from seqtune.config.errors import Problem, SpecError, nearest
from seqtune.config.nested import assign
from seqtune.config.validation import to_problems

S = TypeVar("S", bound="Spec")


class Spec(BaseModel):
    """A frozen description. Unknown fields are errors; types are strict ("3" is not a number)."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )
    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Fields that users expect in this spec, and the dotted paths where they are instead."""

    @classmethod
    def parse(cls, data: Any) -> Self:
        """Validate plain data.

        Raises:
            SpecError: if the data are invalid; holds every error with its path.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise SpecError(to_problems(error, data=data, spec=cls)) from None

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data with all defaults written out."""
        return self.model_dump(mode="json")

    def hash(self) -> str:
        """Return ten hexadecimal digits that change with any field: the identity of a run."""
        text = json.dumps(self.to_data(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def paths(spec: Spec) -> dict[str, Any]:
    """Return the values of all blocks and fields of a spec, by dotted path."""
    found: dict[str, Any] = {}
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        found[name] = value
        if isinstance(value, Spec):
            found |= {f"{name}.{below}": inner for below, inner in paths(value).items()}
    return found


def read(spec: Spec, path: str) -> Any:
    """Return the value at a dotted path.

    Raises:
        SpecError: if there is no such path; suggests the closest one.
    """
    known = paths(spec)
    if path not in known:
        raise SpecError([Problem((path,), f"no such path{nearest(path, known)}")])
    return known[path]


def replace(spec: S, changes: Mapping[str, Any]) -> S:
    """Return a copy with the values at dotted paths replaced, validated as a whole.

    Raises:
        SpecError: if the result is not valid.
    """
    return type(spec).parse(assign(spec.to_data(), changes))
