"""Specs: frozen values read from YAML, with errors that say where, what must hold and what to write.

A spec describes and `.build()` turns it into the thing described. A hyperparameter's dotted path
(`model.layers`) is its only name everywhere, so reading and replacing by path live here too. Nothing
in this module imports torch or Ray: a misspelt file is answered at once.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

Path: TypeAlias = tuple[str | int, ...]
S = TypeVar("S", bound="Spec")

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


class Spec(BaseModel):
    """A frozen description. Unknown fields are refused; types are strict ("3" is no number)."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    @classmethod
    def parse(cls, data: Any) -> Self:
        """Validates plain data.

        Raises:
            SpecError: with every problem, each with its path.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise SpecError(_problems(error, data=data, spec=cls)) from None

    def to_data(self) -> dict[str, Any]:
        """Plain JSON data with every default written out."""
        return self.model_dump(mode="json")

    def hash(self) -> str:
        """Ten hexadecimal digits that change with any field: the identity of a run."""
        text = json.dumps(self.to_data(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]


@dataclass(frozen=True)
class ByKind:
    """Marks a union of specs told apart by `kind`; a bare string stands for `{kind: string}`.

    Example:
        `OptimizerSpec = Annotated[Adam | SGD, ByKind(default="adam")]`
    """

    default: str | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        members = get_args(source) or (source,)
        choices = {member.model_fields["kind"].default: member for member in members}

        def expand(value: Any) -> Any:
            at = "kind" if isinstance(value, Mapping) and "kind" in value else ""
            if isinstance(value, str):
                value = {"kind": value}
            if isinstance(value, Mapping):
                if "kind" not in value and self.default is not None:
                    value = {"kind": self.default, **value}
                kind = value.get("kind")
                if kind is None:
                    raise problem(f"needs a `kind`: {listed(choices)}")
                if not isinstance(kind, str) or kind not in choices:
                    raise problem(f"no such kind: {kind!r}{nearest(str(kind), choices)}", at=at)
            elif not isinstance(value, members):
                raise problem(f"must be a mapping or one of {listed(choices)}, but got {value!r}")
            return value

        union = core_schema.tagged_union_schema(
            choices={kind: handler.generate_schema(member) for kind, member in choices.items()},
            discriminator="kind",
        )
        return core_schema.no_info_before_validator_function(expand, union)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A `kind` alone, or a mapping with one; the default's may leave it out."""
        kinds = handler(schema)["discriminator"]["mapping"]
        written: list[JsonSchemaValue] = [{"enum": list(kinds)}]
        for kind, ref in kinds.items():
            named = [] if kind == self.default else [{"required": ["kind"]}]
            written.append({"allOf": [{"$ref": ref}, *named]})
        return {"anyOf": written}


@dataclass(frozen=True, eq=False)
class OrInShort:
    """Says to editors what else may be written for a value; a validator has to understand it.

    Attributes:
        schema: the JSON schema of what is written in short.
    """

    schema: Mapping[str, Any]

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The value's own form, or the short one."""
        return {"anyOf": [handler(schema), dict(self.schema)]}


def _shape(value: Any) -> str:
    if isinstance(value, Mapping | Spec):
        return "mapping"
    return "list" if isinstance(value, list | tuple) else "value"


ByShape = Discriminator(_shape)
"""Marks a union told apart by what is written: members tagged "value", "list" or "mapping"."""


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
    """A path as people write it: `forcing.phases[0].truth`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def has(data: Any, part: str | int) -> bool:
    """Whether plain data has an entry of that name, or of that number."""
    if isinstance(data, Mapping):
        return part in data
    return isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)


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
    return type(spec).parse(assigned(spec.to_data(), changes))


def assigned(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of plain data with values put at dotted paths; blocks before the fields inside them."""
    result = dict(data)
    for path in sorted(changes, key=lambda path: path.count(".")):
        _assign(result, path.split("."), changes[path])
    return result


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data laid over plain data; a block of another `kind` replaces the block below it whole."""
    result = dict(below)
    for name, value in above.items():
        old = _block(result.get(name))
        new = _block(value)
        same_kind = new is not None and new.get("kind", None) in (None, (old or {}).get("kind"))
        result[name] = (
            merged(old, new) if old is not None and new is not None and same_kind else value
        )
    return result


def _block(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, Mapping) else None


def _assign(data: dict[str, Any], parts: list[str], value: Any) -> None:
    name, *rest = parts
    whole = ".".join(parts)
    if not rest or whole in data:  # the keys of `compare` and `tune` are dotted paths themselves
        data[whole] = value
        return
    if name in ("compare", "tune"):
        data[name] = {**(_block(data.get(name)) or {}), ".".join(rest): value}
        return
    inner = data.get(name)
    if isinstance(inner, str):
        inner = {"kind": inner}
    data[name] = dict(inner) if isinstance(inner, Mapping) else {}
    _assign(data[name], rest, value)


def _problems(error: ValidationError, *, data: Any, spec: type[Spec]) -> list[Problem]:
    details = error.errors(include_url=False)
    # A list with a wrong entry counts as too short as well; the entry is what went wrong.
    inner = {detail["loc"][:length] for detail in details for length in range(len(detail["loc"]))}
    details = [each for each in details if each["type"] != "too_short" or each["loc"] not in inner]
    found = [_problem(detail, data=data, spec=spec) for detail in details]
    return [Problem(each.path, line) for each in found for line in each.message.splitlines()]


def _problem(detail: Any, *, data: Any, spec: type[Spec]) -> Problem:
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
            message = (
                f"must be {context['expected']}, but got {shown(given)}{_meant(given, context)}"
            )
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
            message = f"must be {_TYPES.get(kind, 'a ' + kind.removesuffix('_type'))}, but got {shown(given)}"
        case _:
            message = f"{detail['msg']}, but got {shown(given)}"
    return Problem((*path, *below), message)


def _meant(given: Any, context: Mapping[str, Any]) -> str:
    """The end of the sentence for a word that is none of the expected ones, but like one of them."""
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
    """Pydantic's location without the union tags that it adds and nobody wrote.

    Args:
        loc: the location.
        data: what was validated.
        absent: whether the last part names what is missing.
    """
    path: list[str | int] = []
    for part in loc[:-1] if absent else loc:
        if has(data, part):
            data = data[part]
            path.append(part)
    return (*path, loc[-1]) if absent else tuple(path)


def _unknown_field(path: Path, *, loc: Path, spec: type[Spec]) -> Problem:
    *parents, name = path
    owner = _owner(spec, loc[:-1]).model_fields
    fields = {dotted((*parents, field)): field for field in owner}
    close = near(str(name), fields.values())
    right = [full for full, field in fields.items() if field == close]
    kind = f"with kind: {owner['kind'].default} " if "kind" in owner else ""
    hint = f"; did you mean {right[0]}?" if right else f"; {kind}it is one of {listed(fields)}"
    return Problem(path, f"no such field{hint}")


def _owner(spec: type[Spec], loc: Path) -> type[Spec]:
    """The spec class that a location, tags included, leads to."""
    owner = spec
    candidates: list[type[Spec]] = []
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


def members(annotation: Any) -> list[type[Spec]]:
    """The spec classes in a type, such as a register: unions, aliases, `Annotated` and containers looked through."""
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return [annotation]
    if hasattr(annotation, "__value__"):
        return members(annotation.__value__)
    return [member for inner in get_args(annotation) for member in members(inner)]
