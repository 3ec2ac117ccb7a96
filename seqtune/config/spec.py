"""Specs: frozen values read from YAML.

A spec describes and `.build()` turns it into the thing described. A hyperparameter's dotted path
(`model.layers`) is its only name everywhere, so reading and replacing by path live here too. Neither this
module nor what it imports needs torch or Ray: a misspelt file is answered at once.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from seqtune.config.errors import Problem, SpecError, nearest
from seqtune.config.nested import assign
from seqtune.config.validation import problems_of

S = TypeVar("S", bound="Spec")


class Spec(BaseModel):
    """A frozen description. Unknown fields are refused; types are strict ("3" is no number)."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )
    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Fields that people look for here, and the dotted path at which they are."""

    @classmethod
    def parse(cls, data: Any) -> Self:
        """Validates plain data.

        Raises:
            SpecError: with every problem, each with its path.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise SpecError(problems_of(error, data=data, spec=cls)) from None

    def to_data(self) -> dict[str, Any]:
        """Plain JSON data with every default written out."""
        return self.model_dump(mode="json")

    def hash(self) -> str:
        """Ten hexadecimal digits that change with any field: the identity of a run."""
        text = json.dumps(self.to_data(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def paths(spec: Spec) -> dict[str, Any]:
    """Every dotted path of a spec, blocks and leaves, with its value."""
    found: dict[str, Any] = {}
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        found[name] = value
        if isinstance(value, Spec):
            found |= {f"{name}.{below}": inner for below, inner in paths(value).items()}
    return found


def read(spec: Spec, path: str) -> Any:
    """The value at a dotted path.

    Raises:
        SpecError: if there is no such path; names the nearest.
    """
    known = paths(spec)
    if path not in known:
        raise SpecError([Problem((path,), f"no such path{nearest(path, known)}")])
    return known[path]


def replace(spec: S, changes: Mapping[str, Any]) -> S:
    """A copy with the values at dotted paths replaced, validated as a whole.

    Raises:
        SpecError: if the result is no valid spec.
    """
    return type(spec).parse(assign(spec.to_data(), changes))
