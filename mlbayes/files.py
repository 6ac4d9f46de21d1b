"""Files that are whole or not there: everything is written beside its target and then renamed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mlbayes.problems import Problem, ProblemError, ProblemKind


def file_problem(path: Path, message: str, hint: str = "") -> Problem:
    """A problem with a file that is to be written."""
    return Problem(message, kind=ProblemKind.FILE, place=str(path), hint=hint)


def target_problems(target: Path, inputs: list[Path]) -> list[Problem]:
    """Why a result cannot be written to `target`, found before hours are spent on computing it."""
    if target.is_dir():
        return [file_problem(target, "this is a folder, not a file")]
    if not target.parent.is_dir():
        return [file_problem(target, "the folder does not exist", f"make it first: mkdir -p {target.parent}")]
    if not os.access(target.parent, os.W_OK):
        return [file_problem(target, "no permission to write into this folder")]
    if any(target.resolve() == path.resolve() for path in inputs):
        return [file_problem(target, "this is an input of the run and will not be overwritten")]
    return []


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    beside: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            beside = Path(file.name)
            file.write(text)
        # A temporary file is readable by its owner alone; a result gets the rights of any new file.
        beside.chmod(0o666 & ~_umask())
        beside.replace(path)
    except OSError as error:
        raise ProblemError([file_problem(path, f"cannot write: {error.strerror or error}")]) from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)


def _umask() -> int:
    # The system tells the mask only in exchange for a new one.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
