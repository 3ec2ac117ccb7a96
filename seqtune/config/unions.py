"""Unions of specs, told apart by `kind` or by the shape of what is written.

A register, such as `TaskSpec`, is such a union.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, Discriminator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from seqtune.config.errors import listed, nearest, problem


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
    if isinstance(value, Mapping | BaseModel):
        return "mapping"
    return "list" if isinstance(value, list | tuple) else "value"


ByShape = Discriminator(_shape)
"""Marks a union told apart by what is written: members tagged "value", "list" or "mapping"."""


def members(annotation: Any) -> list[type[BaseModel]]:
    """The spec classes in a type, such as a register: unions, aliases, `Annotated` and containers looked through."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if hasattr(annotation, "__value__"):
        return members(annotation.__value__)
    return [member for inner in get_args(annotation) for member in members(inner)]
