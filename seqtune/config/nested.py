"""Plain data, as YAML has it: read, replaced and laid over one another by dotted paths."""

from collections.abc import Mapping
from typing import Any


def has(data: Any, part: str | int) -> bool:
    """Whether plain data has an entry of that name, or of that number."""
    if isinstance(data, Mapping):
        return part in data
    return isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)


def assign(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of plain data with values put at dotted paths; blocks before the fields inside them."""
    result = dict(data)
    for path in sorted(changes, key=lambda path: path.count(".")):
        _assign(result, path.split("."), changes[path])
    return result


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data laid over plain data; a block of another `kind` replaces the block below it whole."""
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
