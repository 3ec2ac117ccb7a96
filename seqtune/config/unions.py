"""Unions of specs, discriminated by `kind` or by the YAML node (value, list, mapping)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, Discriminator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from seqtune.config.errors import listed, nearest, problem


@dataclass(frozen=True)
class ByKind:
    """Marks a union of specs discriminated by `kind`; a string is short for `{kind: string}`.

    Attributes:
        default: the kind of a mapping without one; None if `kind` is required.

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
        """Accept a `kind` alone, or a mapping with one, which is optional for the default."""
        kinds = handler(schema)["discriminator"]["mapping"]
        forms: list[JsonSchemaValue] = [{"enum": list(kinds)}]
        for kind, ref in kinds.items():
            required = [] if kind == self.default else [{"required": ["kind"]}]
            forms.append({"allOf": [{"$ref": ref}, *required]})
        return {"anyOf": forms}


@dataclass(frozen=True, eq=False)
class OrInShort:
    """Adds a short form to a value's JSON schema; a validator must accept it too.

    Attributes:
        schema: JSON schema of the short form.
    """

    schema: Mapping[str, Any]

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Accept the value's own form or the short one."""
        return {"anyOf": [handler(schema), dict(self.schema)]}


def _shape(value: Any) -> str:
    if isinstance(value, Mapping | BaseModel):
        return "mapping"
    return "list" if isinstance(value, list | tuple) else "value"


ByShape = Discriminator(_shape)
"""Marks a union whose members are tagged by YAML node: "value", "list" or "mapping"."""


def members(annotation: Any) -> list[type[BaseModel]]:
    """Return the spec classes in a type, inside unions, aliases, `Annotated` and containers."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if hasattr(annotation, "__value__"):
        return members(annotation.__value__)
    return [member for inner in get_args(annotation) for member in members(inner)]
