"""Where results may be written, and how: beside the target and then renamed, never half.

A device or a pipe (/dev/stdout) cannot be replaced by a file and is written to as it is.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlbayes.problems import Problem, ProblemError, ProblemKind


def file_problem(place: str, message: str, hint: str = "") -> ProblemError:
    """An error about a file to be written."""
    return ProblemError([Problem(message, kind=ProblemKind.FILE, place=place, hint=hint)])


@dataclass(frozen=True)
class Place:
    """The folder of the script, the files in it that are inputs, and whether results may leave it."""

    folder: Path
    inputs: tuple[Path, ...] = ()
    allow_outside: bool = False

    def target(self, name: str) -> Path:
        """The path of a file named in SAVE; ProblemError when it may not be written."""
        path = self.folder / name
        real = path.resolve()
        if not name.strip() or name.endswith(("/", os.sep)) or path.is_dir():
            raise file_problem(name, "this is a folder, not a file")
        inside = self.folder.resolve() in real.parents
        if not (inside or self.allow_outside):
            raise file_problem(
                name, "this file lies outside of the folder of the script", "give a name without folders"
            )
        if not real.parent.is_dir():
            raise file_problem(name, "the folder does not exist", f"make it first: mkdir {path.parent}")
        for other in self.inputs:
            if real == other.resolve() or (
                real.exists() and other.exists() and os.path.samefile(real, other)
            ):
                message = "this is an input of the run and will not be overwritten"
                raise file_problem(name, message, "give the results a name of their own")
        return path


def is_device(path: Path) -> bool:
    """Is there a device or a pipe of this name."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def write_bytes(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file whole or not at all; where the name is a link, the file that it leads to."""
    beside: Path | None = None
    try:
        if is_device(path):
            with path.open("wb") as file:
                file.writelines(parts)
            return
        target = path.resolve()
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
        beside = Path(name)
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                file.write(part)
        # A temporary file is readable by its owner alone; a result gets the rights of any new file.
        mask = os.umask(0o077)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)
        beside.replace(target)
        beside = None
    except OSError as error:
        raise file_problem(path.name, f"cannot write: {error.strerror or error}") from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)
