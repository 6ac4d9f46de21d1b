"""The result document as JSON and back.  A number that does not exist (nan, infinite) is null."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from typing import Any

from mlbayes.results.document import VERSION, Document


def document_to_json(*documents: Document) -> str:
    """A document as JSON text, keys in the order of the fields; of groups: a list of documents in `groups`."""
    plain = [without_nan(dataclasses.asdict(document)) for document in documents]
    if documents[0].group is None:
        return dumped(plain[0])
    return dumped({"version": VERSION, "groups": plain})


def dumped(plain: Any) -> str:
    """JSON text of plain data."""
    return json.dumps(plain, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def without_nan(value: Any) -> Any:
    """The same structure with None for numbers that JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def document_from_json(text: str) -> Document:
    """The document that a JSON text describes; ValueError when it is none of this version."""
    plain = json.loads(text)
    if not isinstance(plain, dict) or plain.get("version") != VERSION:
        raise ValueError(f"not a result document of version {VERSION}")
    document: Document = from_plain(Document, plain)
    return document


def from_plain(hint: Any, value: Any) -> Any:
    """A value of the type `hint` from JSON types."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        return hint(**{name: from_plain(hints[name], item) for name, item in value.items()})
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is list:
        return [from_plain(arguments[0], item) for item in value]
    if typing.get_origin(hint) is dict:
        return {key: from_plain(arguments[1], item) for key, item in value.items()}
    if isinstance(hint, types.UnionType):
        return None if value is None else from_plain(chosen(arguments, value), value)
    if hint is float:
        return math.nan if value is None else float(value)
    return value


def chosen(arguments: tuple[Any, ...], value: Any) -> Any:
    """Which type of a union a value belongs to: a dictionary to the dictionary, all else to the first."""
    if isinstance(value, dict):
        return next(argument for argument in arguments if typing.get_origin(argument) is dict)
    return arguments[0]
