"""Any value of the path as indented text, for `mlbayes check --show` and for looking at things in tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from enum import Enum
from typing import Any

from mlbayes.source import Source, Span

WIDTH = 100
HIDDEN = (Source, Span)


def show(value: Any) -> str:
    """A tree of dataclasses as text: one field a line, fields at their defaults and places left out."""
    return "\n".join(_lines(value, 0))


def _lines(value: Any, depth: int, label: str = "") -> Iterator[str]:
    indent = "  " * depth
    short = label + _short(value)
    children = _children(value)
    if not children or len(indent) + len(short) <= WIDTH:
        yield indent + short
        return
    heading = label + (type(value).__name__ if dataclasses.is_dataclass(value) else "")
    yield indent + (heading.rstrip() or "-")
    for name, child in children:
        yield from _lines(child, depth + 1, f"{name}: " if name else "")


def _short(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Enum):
        return value.name.lower()
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    if dataclasses.is_dataclass(value):
        inside = ", ".join(f"{name}={_short(child)}" for name, child in _children(value))
        return f"{type(value).__name__}({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_short(child)}" for key, child in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_short(child) for child in value) + "]"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(_short, value))) + "}"
    return repr(value)


def _children(value: Any) -> list[tuple[str, Any]]:
    """The parts of a value with their names (elements of a list have none)."""
    if dataclasses.is_dataclass(value):
        return [
            (field.name, getattr(value, field.name))
            for field in dataclasses.fields(value)
            if _told(value, field)
        ]
    if isinstance(value, dict):
        return [(str(key), child) for key, child in value.items()]
    if isinstance(value, (list, tuple)):
        return [("", child) for child in value]
    return []


def _told(value: Any, field: dataclasses.Field[Any]) -> bool:
    """Does a field say anything: no place in the text, not at its default, not private."""
    child = getattr(value, field.name)
    if field.name.startswith("_") or isinstance(child, HIDDEN) or field.name == "command_spans":
        return False
    if hasattr(child, "shape"):
        return True
    if field.default is not dataclasses.MISSING:
        return bool(child != field.default)
    if field.default_factory is not dataclasses.MISSING:
        return bool(child != field.default_factory())
    return True
