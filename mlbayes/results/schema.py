"""The JSON Schema of the result document, derived from its dataclasses.

`document.schema.json` is this schema as a file; a test holds them together.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from mlbayes.results.document import VERSION, Document

SIMPLE = {str: "string", int: "integer", bool: "boolean"}


def type_schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; dataclasses are collected in `definitions` and referred to."""
    if dataclasses.is_dataclass(hint):
        name = getattr(hint, "__name__", "")
        if name not in definitions:
            definitions[name] = {}  # reserves its place while its fields are looked at
            definitions[name] = class_schema(hint, definitions)
        return {"$ref": f"#/$defs/{name}"}
    if hint is float:
        return {"type": ["number", "null"]}  # JSON has no nan
    if hint in SIMPLE:
        return {"type": SIMPLE[hint]}
    if hint is type(None):
        return {"type": "null"}
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is list:
        return {"type": "array", "items": type_schema(arguments[0], definitions)}
    if typing.get_origin(hint) is dict:
        return {"type": "object", "additionalProperties": type_schema(arguments[1], definitions)}
    if isinstance(hint, types.UnionType):
        return {"anyOf": [type_schema(argument, definitions) for argument in arguments]}
    raise TypeError(f"no schema for {hint}")


def class_schema(cls: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a dataclass: all its fields, and no others."""
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    return {
        "description": (cls.__doc__ or "").split("\n\n")[0].strip(),
        "type": "object",
        "properties": {name: type_schema(hints[name], definitions) for name in names},
        "required": names,
        "additionalProperties": False,
    }


def document_schema() -> dict[str, Any]:
    """The schema of the whole document."""
    definitions: dict[str, Any] = {}
    top = class_schema(Document, definitions)
    top["properties"]["version"] = {"const": VERSION}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"mlbayes result document {VERSION}",
        **top,
        "$defs": dict(sorted(definitions.items())),
    }
