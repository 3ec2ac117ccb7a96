"""Nested plain data, as in YAML: assign values to dotted paths, merge blocks."""

from collections.abc import Mapping
from typing import Any


def has(data: Any, part: str | int) -> bool:
    """Return whether a mapping has the key `part`, or a list the index `part`."""
    if isinstance(data, Mapping):
        return part in data
    return isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)


def assign(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with values assigned to dotted paths, outer blocks before their fields."""
    result = dict(data)
    for path in sorted(changes, key=lambda path: path.count(".")):
        _assign(result, path.split("."), changes[path])
    return result


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `above` over `below`; a block of another `kind` replaces the block below it."""
    result = dict(below)
    for name, value in above.items():
        old = _block(result.get(name))
        new = _block(value)
        same_kind = new is not None and new.get("kind", None) in (None, (old or {}).get("kind"))
        result[name] = (
            merge(old, new) if old is not None and new is not None and same_kind else value
        )
    return result


def _block(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, Mapping) else None


def _assign(data: dict[str, Any], parts: list[str], value: Any) -> None:
    name, *rest = parts
    whole = ".".join(parts)
    if not rest or whole in data:
        data[whole] = value
        return
    if name in ("compare", "tune"):  # their keys are dotted paths themselves
        data[name] = {**(_block(data.get(name)) or {}), ".".join(rest): value}
        return
    inner = data.get(name)
    if isinstance(inner, str):
        inner = {"kind": inner}
    data[name] = dict(inner) if isinstance(inner, Mapping) else {}
    _assign(data[name], rest, value)
