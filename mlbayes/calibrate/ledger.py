"""Results of simulations in a file, a line each, that a later run continues.

A line is written whole and flushed to the disk before the next; what a kill has left of an unfinished one is cut off
when the file is opened again.  Lines stand in the order of their numbers, so the file is the same for any number of
jobs and interruptions.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlbayes import __version__
from mlbayes.calibrate.fit import DRAWS, Simulation
from mlbayes.model.model import Model
from mlbayes.output.atomic import file_problem
from mlbayes.show import show


def digest(model: Model) -> str:
    """A fingerprint of a model with its data and priors."""
    found = hashlib.sha256(show(model).encode())
    for variable in model.variables.values():
        found.update(variable.values.tobytes())
    for mean, variance in model.further.first_values.values():
        found.update(mean.tobytes() + variance.tobytes())
    return found.hexdigest()[:16]


class Ledger:
    """The results so far, and a place for more.  Raises ProblemError (kind FILE) where there is no such place."""

    def __init__(self, path: Path, model: Model, seed: int, burn: int) -> None:
        self.path = path
        self.header = {
            "calibration": digest(model),
            "seed": seed,
            "burn": burn,
            "draws": DRAWS,
            "version": __version__,
        }
        self.done: list[Simulation] = []
        try:
            self._open()
        except OSError as error:
            raise file_problem(path.name, f"cannot write: {error.strerror or error}") from error

    def _open(self) -> None:
        if not self.path.exists():
            self._append(self.header)
            return
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        lines = list(_parsed(whole))
        torn = not lines and self._line(self.header).startswith(content)
        if not torn and (not lines or lines[0] != self.header):
            hint = "remove it, or name another one with --file"
            raise file_problem(self.path.name, self._what_differs(lines), hint)
        if len(whole) < len(content):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        if not lines:
            self._append(self.header)
        self.done = [Simulation(**line) for line in lines[1:]]

    def _what_differs(self, lines: list[dict[str, Any]]) -> str:
        if not lines or "calibration" not in lines[0]:
            return "this file is no result of a calibration and will not be overwritten"
        names = {"calibration": "model or data", "burn": "length of burn-in", "draws": "number of draws"}
        found = [names.get(k, k) for k, value in self.header.items() if lines[0].get(k) != value]
        return f"this file has the results of a calibration with another {', '.join(found)}"

    def add(self, simulation: Simulation) -> None:
        """Append the result of the next simulation."""
        assert simulation.number == len(self.done), "results come in order"
        self._append(asdict(simulation))
        self.done.append(simulation)

    @staticmethod
    def _line(content: dict[str, Any]) -> bytes:
        return json.dumps(content).encode() + b"\n"

    def _append(self, line: dict[str, Any]) -> None:
        with self.path.open("ab") as file:
            file.write(self._line(line))
            file.flush()
            os.fsync(file.fileno())


def _parsed(content: bytes) -> Iterator[dict[str, Any]]:
    """The lines of a file, as far as they are what this module writes."""
    for line in content.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            return
        if not isinstance(value, dict):
            return
        yield value
