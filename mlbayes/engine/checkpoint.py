"""The state of a run's chains on disk, from which the same call goes on after an interruption.

Everything that the rest of a chain depends on is kept: values, generators, draws, what is monitored.  So a run that
was interrupted and continued writes the same bytes as one that was not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mlbayes.engine.jit import DIGEST
from mlbayes.plan.choose import PlannedModel
from mlbayes.problems import Problem, ProblemError, ProblemKind

EVERY = 60.0  # seconds between two states of a chain; more where writing one takes long
SHARE = 0.05  # of the time at the most goes into writing


class Kept(Protocol):
    """What can be kept: its state as plain data, see `flatten`."""

    number: int

    def state(self) -> dict[str, Any]:
        """All that the rest depends on."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state."""


class Checkpoint:
    """The folder in which the chains of a run are kept, a file for each.

    `every`: seconds between two states.  `failure`: what kept a later state from being written; the one before
    stays.  Raises ProblemError (kind FILE) when the folder cannot be made.
    """

    def __init__(self, folder: Path, planned: PlannedModel, every: float = EVERY) -> None:
        self.folder = folder
        self.every = every
        self.failure = ""
        self._key = run_key(planned)
        self._stream = planned.model.settings.stream
        self._next: dict[int, float] = {}
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            message = f"cannot make the folder for --checkpoint: {error.strerror or error}"
            raise _problem(folder, message, "name a folder that can be made") from error

    def data_path(self, number: int) -> Path:
        """Where the data sets that a chain is to save lie."""
        return self.folder / f"chain-{self._stream}-{number + 1}.data"

    def _path(self, number: int) -> Path:
        return self.folder / f"chain-{self._stream}-{number + 1}.npz"

    def load(self, chain: Kept) -> None:
        """Bring a chain where its file says, if there is one; write its first file otherwise.

        Raises ProblemError (kind FILE) when the file belongs to another run, or cannot be read or written.
        """
        path = self._path(chain.number)
        try:
            found = _read(path)
        except FileNotFoundError:
            self.save(chain)
            if self.failure:
                raise _problem(path, self.failure, "name a folder that can be written to") from None
            return
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise _problem(path, "this checkpoint cannot be read", _FRESH) from error
        if found["key"] != self._key:
            message = "this is the checkpoint of another run: its model, data, settings or version differ"
            raise _problem(path, message, _FRESH)
        chain.restore(found["state"])
        self._next[chain.number] = time.monotonic() + self.every

    def save_when_due(self, chain: Kept) -> None:
        """Save a chain if that has not been done for a while."""
        if time.monotonic() >= self._next.get(chain.number, 0.0):
            self.save(chain)

    def save(self, chain: Kept) -> None:
        """Write the state of a chain, whole or not at all."""
        path = self._path(chain.number)
        beside = path.with_suffix(".part")
        started = time.monotonic()
        try:
            _write(beside, {"key": self._key, "state": chain.state()})
            beside.replace(path)
            self.failure = ""
        except OSError as error:
            self.failure = f"the checkpoint could not be written: {error.strerror or error}"
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
        taken = time.monotonic() - started
        self._next[chain.number] = time.monotonic() + max(self.every, taken / SHARE)


_FRESH = "name another folder for --checkpoint, or remove this one to start afresh"


def _problem(path: Path, message: str, hint: str) -> ProblemError:
    return ProblemError([Problem(message, None, hint, ProblemKind.FILE, str(path))])


def remove_checkpoint(folder: Path) -> None:
    """Remove the files of a run that has ended, and the folder if nothing else is in it."""
    with contextlib.suppress(OSError):
        for path in folder.glob("chain-*-*"):
            if path.suffix in (".npz", ".data", ".part"):
                path.unlink(missing_ok=True)
        folder.rmdir()


def run_key(planned: PlannedModel) -> str:
    """Hash of all that decides about the draws: plan, data, settings, the program itself."""
    digest = hashlib.sha256(f"{DIGEST} {np.__version__} {planned.model.settings}".encode())
    for array in (planned.store, *planned.plan):
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


# ------------------------------------------------------------------ files
def _write(path: Path, content: dict[str, Any]) -> None:
    arrays: list[np.ndarray] = []
    header = json.dumps(flatten(content, arrays)).encode()
    columns = {f"a{k}": array for k, array in enumerate(arrays)}
    with path.open("wb") as file:
        np.savez(file, header=np.frombuffer(header, np.uint8), **columns)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
        content = unflatten(json.loads(found["header"].tobytes()), found)
    assert isinstance(content, dict)
    return content


def flatten(value: Any, arrays: list[np.ndarray]) -> Any:
    """JSON of plain data: dicts (with keys of any kind), lists, tuples, texts, numbers; arrays go into a list."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": f"a{len(arrays) - 1}"}
    if isinstance(value, dict):
        return {"dict": [[flatten(key, arrays), flatten(each, arrays)] for key, each in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [flatten(each, arrays) for each in value]}
    assert value is None or isinstance(value, str | int | float), type(value)
    return value


def unflatten(form: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The data of which `flatten` made this JSON."""
    if not isinstance(form, dict):
        return form
    ((kind, content),) = form.items()
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        return {unflatten(key, arrays): unflatten(each, arrays) for key, each in content}
    items = [unflatten(each, arrays) for each in content]
    return items if kind == "list" else tuple(items)
