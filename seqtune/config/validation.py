"""Pydantic's errors as sentences: path, what must hold, what was given, a suggestion."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from seqtune.config.errors import Path, Problem, dotted, listed, near, shown
from seqtune.config.nested import has
from seqtune.config.unions import members


def to_problems(error: ValidationError, *, data: Any, spec: type[BaseModel]) -> list[Problem]:
    """Turn pydantic's errors into problems with sentences for users.

    Args:
        error: the error that pydantic raised.
        data: the validated data.
        spec: the class that it was validated as.
    """
    details = error.errors(include_url=False)
    # Pydantic also calls a list with an invalid entry too short; only the entry is reported.
    inner = {detail["loc"][:length] for detail in details for length in range(len(detail["loc"]))}
    details = [each for each in details if each["type"] != "too_short" or each["loc"] not in inner]
    found = [_to_problem(detail, data=data, spec=spec) for detail in details]
    return [Problem(each.path, line) for each in found for line in each.message.splitlines()]


def _to_problem(detail: Any, *, data: Any, spec: type[BaseModel]) -> Problem:
    path = _written_path(detail["loc"], data, absent=detail["type"] == "missing")
    context = detail.get("ctx", {})
    given = detail["input"]
    below: Path = ()
    match detail["type"]:
        case "seqtune":
            message = context["message"]
            below = tuple(context["at"].split(".")) if context["at"] else ()
        case "missing":
            message = "is required, and is not given"
        case "extra_forbidden":
            return _unknown_field(path, loc=detail["loc"], spec=spec)
        case bound if bound in _BOUNDS:
            words, key = _BOUNDS[bound]
            message = f"must be {words} {context[key]:g}, but got {shown(given)}"
        case "literal_error":
            message = f"must be {context['expected']}, but got {shown(given)}"
            message += _suggestion(given, context)
        case "finite_number":
            message = f"must be a finite number, but got {shown(given)}"
        case "union_tag_invalid":
            wanted = context["expected_tags"].replace("'", "").replace(", ", " or a ")
            message = f"must be a {wanted}, but got {shown(given)}"
        case "too_short":
            least = context["min_length"]
            entries = "one entry" if least == 1 else f"{least} entries"
            message = f"needs at least {entries}, but got {shown(given)}"
        case kind if kind.endswith("_type"):
            expected = _TYPES.get(kind, "a " + kind.removesuffix("_type"))
            message = f"must be {expected}, but got {shown(given)}"
        case _:
            message = f"{detail['msg']}, but got {shown(given)}"
    return Problem((*path, *below), message)


def _suggestion(given: Any, context: Mapping[str, Any]) -> str:
    """Return a suggestion for a word that is close to one of the expected ones."""
    close = (
        near(given, re.findall(r"'([^']*)'", context["expected"]))
        if isinstance(given, str)
        else None
    )
    return f"; did you mean {close}?" if close is not None else ""


_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("above", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
}
_TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


def _written_path(loc: Path, data: Any, *, absent: bool) -> Path:
    """Return pydantic's location without the union tags that it inserts.

    Args:
        loc: pydantic's location.
        data: the validated data.
        absent: whether the last part names a missing field.
    """
    path: list[str | int] = []
    for part in loc[:-1] if absent else loc:
        if has(data, part):
            data = data[part]
            path.append(part)
    return (*path, loc[-1]) if absent else tuple(path)


def _unknown_field(path: Path, *, loc: Path, spec: type[BaseModel]) -> Problem:
    *parents, name = path
    parent = _owner(spec, loc[:-1])
    elsewhere: Mapping[str, str] = getattr(parent, "elsewhere", {})
    if name in elsewhere:
        return Problem(path, f"no such field; did you mean {elsewhere[str(name)]}?")
    known = parent.model_fields
    fields = {dotted((*parents, field)): field for field in known}
    close = near(str(name), fields.values())
    matches = [full for full, field in fields.items() if field == close]
    kind = f"with kind: {known['kind'].default} " if "kind" in known else ""
    hint = f"; did you mean {matches[0]}?" if matches else f"; {kind}it is one of {listed(fields)}"
    return Problem(path, f"no such field{hint}")


def _owner(spec: type[BaseModel], loc: Path) -> type[BaseModel]:
    """Return the spec class at a location, union tags included."""
    owner = spec
    candidates: list[type[BaseModel]] = []
    for part in loc:
        tagged = [member for member in candidates if member.model_fields["kind"].default == part]
        if tagged:
            owner, candidates = tagged[0], []
        elif part in owner.model_fields:
            field = owner.model_fields[str(part)]
            candidates = [
                member for member in members(field.annotation) if "kind" in member.model_fields
            ]
            plain = [
                member for member in members(field.annotation) if "kind" not in member.model_fields
            ]
            owner = plain[0] if plain else owner
    return owner
