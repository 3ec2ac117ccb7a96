"""JSON schemas of sweep files and run files, for editors.

A schema knows fields, types and bounds; rules about several fields are checked when the file is
read. In a sweep a run is spread over `base`, arms, `compare` and `tune`, so none of them requires a
field, and a block without a `kind` may be of any kind.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from seqtune.runs.spec import RunSpec
from seqtune.sweep.planning.spec import SweepSpec
from seqtune.training.measurement import OBJECTIVES

Schema = dict[str, Any]
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DEFS = "#/$defs/"
_PART = "part-"
"""Prefix of the definition of a block without required fields."""


def run_schema() -> Schema:
    """Return the schema of a file for `seqtune train`."""
    return {"$schema": DRAFT, **_without_titles(RunSpec.model_json_schema()), "title": "A run"}


def sweep_schema() -> Schema:
    """Return the schema of a file for `seqtune sweep`."""
    schema = SweepSpec.model_json_schema()
    found, arm = schema["properties"], schema["$defs"]["ArmSpec"]
    parts = _parts(RunSpec.model_json_schema())
    run = parts[_PART + "RunSpec"]
    del run["properties"]["seed"]  # search and confirm set the seeds
    schema["$defs"] |= parts | _roles(run, parts=parts)
    found["metric"]["enum"] = list(OBJECTIVES)
    schema["$defs"]["distribution"] = found["tune"]["additionalProperties"]
    found["base"] = {"$ref": _DEFS + _PART + "RunSpec"}
    arm["properties"] |= {name: copy.deepcopy(each) for name, each in run["properties"].items()}
    arm["additionalProperties"] = False
    for owner in (found, arm["properties"]):
        owner["compare"] = {"$ref": _DEFS + "compare"}
        owner["tune"] = {"$ref": _DEFS + "tune"}
    return {"$schema": DRAFT, **_without_titles(schema), "title": "A sweep"}


def to_text(schema: Schema) -> str:
    """Return a schema as JSON with a line per definition: compact, with readable diffs."""
    top = {name: json.dumps(each) for name, each in schema.items() if name != "$defs"}
    definitions = {name: json.dumps(each) for name, each in schema["$defs"].items()}
    return _object({**top, "$defs": _object(definitions)})


def _object(entries: Mapping[str, str]) -> str:
    lines = ",\n".join(f"{json.dumps(name)}: {text}" for name, text in entries.items())
    return f"{{\n{lines}\n}}"


def _parts(schema: Schema) -> dict[str, Schema]:
    """The definitions of a run, including the run itself, without required fields."""
    defs = {**schema.pop("$defs"), "RunSpec": schema}
    return {_PART + name: _part(each) for name, each in defs.items()}


def _part(node: Any) -> Any:
    """A copy without required fields that refers to such copies."""
    if isinstance(node, list):
        return [_part(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    if "$ref" in node:
        return {"$ref": _DEFS + _PART + node["$ref"].removeprefix(_DEFS)}
    if "allOf" in node:
        return _part(node["allOf"][0])  # what follows requires `kind`
    return {
        name: _part(each)
        for name, each in node.items()
        if name != "default" and not (name == "required" and isinstance(each, list))
    }


def _roles(run: Schema, *, parts: Mapping[str, Schema]) -> dict[str, Schema]:
    """Schemas of the blocks `compare` and `tune`: what they may hold at every dotted path."""
    tree = _Tree(parts)
    tree.descend(run, path="", inside=())
    free = [f"^{path.replace('.', '[.]')}[.]" for path in tree.open]
    distribution = {"$ref": _DEFS + "distribution"}
    values = {"type": "array", "minItems": 1}
    compared = {path: {**values, "items": _any_of(each)} for path, each in tree.found.items()}
    tuned = dict.fromkeys(tree.found, distribution)
    entries = {"type": "array", "items": {"type": "object", "minProperties": 1}}
    rows = {"type": "array", "minItems": 2, "items": {"type": "array"}}
    return {
        "compare": {
            "type": "object",
            "properties": {**compared, "zip": rows, "exclude": entries},
            "patternProperties": dict.fromkeys(free, values),
            "additionalProperties": False,
        },
        "tune": {
            "type": "object",
            "properties": tuned,
            "patternProperties": dict.fromkeys(free, distribution),
            "additionalProperties": False,
        },
    }


def _without_titles(node: Any) -> Any:
    """A copy without titles, which only repeat the names of fields."""
    if isinstance(node, list):
        return [_without_titles(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    return {
        name: _without_titles(each)
        for name, each in node.items()
        if not (name == "title" and isinstance(each, str))
    }


def _any_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


@dataclass
class _Tree:
    """The dotted paths of a schema.

    Attributes:
        parts: the definitions that it refers to.
        found: by path, the schemas of its value: one for each block that has a field of that name.
        open: paths with arbitrary paths below: free mappings, and blocks that contain themselves.
    """

    parts: Mapping[str, Schema]
    found: dict[str, list[Schema]] = field(default_factory=dict)
    open: dict[str, None] = field(default_factory=dict)

    def descend(self, node: Schema, *, path: str, inside: tuple[str, ...]) -> None:
        """Add all paths below a node at a path, inside definitions of these names."""
        for block, within in self._blocks(node, path=path, inside=inside):
            for name, below in block.get("properties", {}).items():
                whole = f"{path}.{name}" if path else name
                known = self.found.setdefault(whole, [])
                if below not in known:
                    known.append(below)
                self.descend(below, path=whole, inside=within)
            if block.get("type") == "object" and block.get("additionalProperties", True):
                self.open[path] = None

    def _blocks(
        self, node: Schema, *, path: str, inside: tuple[str, ...]
    ) -> Iterator[tuple[Schema, tuple[str, ...]]]:
        if "$ref" in node:
            name = node["$ref"].removeprefix(_DEFS)
            if name in inside:
                self.open[path] = None
            else:
                yield from self._blocks(self.parts[name], path=path, inside=(*inside, name))
            return
        yield node, inside
        for each in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
            yield from self._blocks(each, path=path, inside=inside)
