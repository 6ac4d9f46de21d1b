"""Results of simulations in a file, a line each, that a later run continues.

A line is written whole and flushed to the disk before the next; what a kill has left of an unfinished one is cut off
when the file is opened again.  Lines stand in the order of their numbers, so the file is the same for any number of
jobs and interruptions.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mlbayes import __version__
from mlbayes.model.model import Model
from mlbayes.output.atomic import file_problem
from mlbayes.show import show

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
Line = dict[str, Any]
# What the first line of a file says, in words.
NAMES = {
    "calibration": "model or data",
    "blocks": "model or data",
    "burn": "length of burn-in",
    "draws": "number of draws",
}
REMEDY = "remove it, or name another one with --file"


def digest(model: Model) -> str:
    """A fingerprint of a model with its data and priors."""
    found = hashlib.sha256(show(model).encode())
    for variable in model.variables.values():
        found.update(variable.values.tobytes())
    for mean, variance in model.further.first_values.values():
        found.update(mean.tobytes() + variance.tobytes())
    return found.hexdigest()[:16]


class Ledger(Generic[T]):
    """The results so far, and a place for more; without a path they are kept in memory only.

    Results belong together if `kind` (calibration, blocks), model, data, `settings` and version of the program are the
    same.  `read` makes a result from its line.  Raises ProblemError (kind FILE) where a file cannot be used.
    """

    def __init__(
        self, path: Path | None, kind: str, model: Model, settings: dict[str, int], read: Callable[[Line], T]
    ) -> None:
        self.path = path
        self.header: Line = {kind: digest(model), **settings, "version": __version__}
        self.done: list[T] = []
        self._kind = kind
        self._read = read
        if path is None:
            return
        try:
            self._open(path)
        except OSError as error:
            raise file_problem(path.name, f"cannot write: {error.strerror or error}") from error

    def _open(self, path: Path) -> None:
        if not path.exists():
            self._append(self.header)
            return
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        lines = list(_parsed(whole))
        torn = not lines and self._line(self.header).startswith(content)
        if not torn and (not lines or lines[0] != self.header):
            raise file_problem(path.name, self._what_differs(lines), REMEDY)
        if len(lines) < whole.count(b"\n"):
            raise file_problem(path.name, f"line {len(lines) + 1} is damaged", REMEDY)
        if len(whole) < len(content):
            with path.open("r+b") as file:
                file.truncate(len(whole))
        if not lines:
            self._append(self.header)
        for number, line in enumerate(lines[1:], 2):
            try:
                self.done.append(self._read(line))
            except (TypeError, KeyError):
                raise file_problem(path.name, f"line {number} is no result", REMEDY) from None

    def _what_differs(self, lines: list[Line]) -> str:
        results = "results of a calibration" + (" of blocks" if self._kind == "blocks" else "")
        if not lines or self._kind not in lines[0]:
            return f"this file has no {results} and will not be overwritten"
        found = [NAMES.get(k, k) for k, value in self.header.items() if lines[0].get(k) != value]
        return f"this file has the {results} with another {', '.join(found)}"

    def add(self, result: T) -> None:
        """Append the next result; they come in the order of their numbers."""
        if self.path is not None:
            self._append(asdict(result))
        self.done.append(result)

    @staticmethod
    def _line(content: Line) -> bytes:
        return json.dumps(content).encode() + b"\n"

    def _append(self, line: Line) -> None:
        assert self.path is not None
        with self.path.open("ab") as file:
            file.write(self._line(line))
            file.flush()
            os.fsync(file.fileno())


def _parsed(content: bytes) -> Iterator[Line]:
    """The lines of a file, as far as they are what this module writes."""
    for line in content.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            return
        if not isinstance(value, dict):
            return
        yield value
