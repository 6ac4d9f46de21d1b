"""A data file as lines of words: decoding, line ends, separators, quotes; knows nothing about numbers."""

from __future__ import annotations

import csv
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

from mlbayes.memory import gigabytes, physical_memory
from mlbayes.problems import Problem, ProblemError, ProblemKind, nearest

Splitter = Callable[[str], list[str]]

_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_WORD = re.compile(r'"(?:[^"]|"")*"|\S+')
COPIES = 5  # of the size of a file: its bytes, its text, its lines, its numbers
LONGEST = 150  # characters of a path that a message shows
CHUNK = 1 << 24  # bytes that are read at a time

_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


def _named(path: Path) -> str:
    """A path for a message, of a very long one the end."""
    text = str(path)
    return text if len(text) <= LONGEST else "..." + text[-LONGEST:]


def _fail(
    path: Path, message: str, hint: str = "", kind: ProblemKind = ProblemKind.DATA, line: int = 0
) -> NoReturn:
    place = f"{path.name}, line {line}" if line else path.name
    raise ProblemError([Problem(message, hint=hint, kind=kind, place=place)])


def _read_bytes(path: Path) -> bytes:
    """The bytes of a file; what the system refuses becomes a problem, and so does what may never end."""
    try:
        if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
            _fail(path, f"'{_named(path)}' is a device or a pipe, not a data file", kind=ProblemKind.FILE)
        if (needed := COPIES * path.stat().st_size) > (available := physical_memory()):
            message = (
                f"the data file '{_named(path)}' is too large: it needs about {gigabytes(needed)} of memory"
            )
            hint = f"this machine has {gigabytes(available)}; leave out columns that the model does not need"
            _fail(path, message, hint, ProblemKind.FILE)
        with path.open("rb") as file:
            return b"".join(_chunks(path, file))
    except FileNotFoundError:
        hint = nearest(path.name, _beside(path)) or "the path is taken relative to the folder of the script"
        _fail(path, f"the data file '{_named(path)}' does not exist", hint, ProblemKind.FILE)
    except IsADirectoryError:
        _fail(path, f"'{_named(path)}' is a folder, not a data file", kind=ProblemKind.FILE)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        _fail(path, f"the data file '{_named(path)}' cannot be read: {reason}", kind=ProblemKind.FILE)


def _chunks(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """A file piece by piece, up to what shows that it is no text: of a wrong file little has to be read."""
    lines = 0
    while chunk := file.read(CHUNK):
        if not lines and chunk.startswith(_WIDE_MARKS):
            _fail(path, "the file is encoded in UTF-16", "save it as UTF-8")
        if (position := chunk.find(b"\0")) >= 0:
            line = lines + chunk.count(b"\n", 0, position) + 1
            hint = "a data file is plain text; is this another kind of file?"
            _fail(path, "there is a NUL byte in this line", hint, line=line)
        lines += chunk.count(b"\n")
        yield chunk


def _beside(path: Path) -> list[str]:
    """Names of the files in a folder, of very many the first."""
    try:
        with os.scandir(path.parent) as entries:
            return [entry.name for entry in itertools.islice(entries, 1000)]
    except (OSError, ValueError):
        return []


def read_lines(path: Path) -> list[str]:
    """All lines of a text file without their ends; the position in the list is the line number less one."""
    content = _read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # the decoder counts from the end of a byte order mark, which cannot hide a line end
        read, at = error.object, error.start
        column = at - read.rfind(b"\n", 0, at)
        message = f"byte {column} of this line (0x{read[at]:02x}) is not UTF-8"
        _fail(path, message, "save the file as UTF-8", line=read.count(b"\n", 0, at) + 1)
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _split_commas(line: str) -> list[str]:
    if '"' in line:
        try:
            return next(csv.reader([line], skipinitialspace=True))
        except csv.Error:  # a field beyond the limit of the csv module
            pass
    return line.split(",")


def _split_blanks(line: str) -> list[str]:
    if '"' in line:
        return [_unquoted(word) for word in _WORD.findall(line)]
    return line.split()


def _unquoted(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word


def splitter_for(line: str) -> Splitter:
    """How to split lines like this one: at commas if it has any outside quotes, else at blanks.

    Words split at commas may keep blanks around them.
    """
    return _split_commas if "," in _QUOTED.sub("", line) else _split_blanks
