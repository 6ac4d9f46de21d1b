"""Data of draws that are to be saved: kept on disk from the moment they are drawn, since they may exceed memory."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, overload

import numpy as np
from numpy.typing import NDArray

from mlbayes.problems import Problem, ProblemError, ProblemKind
from mlbayes.results.draws import Snapshot


class Spool(Mapping[int, Snapshot]):
    """Snapshots by number in a temporary file, column after column; all of them have the same columns.

    The file lies in `folder`, where the results will be (the system's folder for temporary files may be in memory), or
    else in that folder.  It has no name there and is gone with the process, however that ends; `path`: where it lies
    instead if it is to stay, for a run that may be continued.
    """

    def __init__(self, folder: Path, path: Path | None = None) -> None:
        self.folder = folder if path is None else path.parent
        self.path = path
        self._file: IO[bytes] | None = None
        self._values: tuple[str, ...] = ()
        self._added: tuple[str, ...] = ()
        self._rows = 0
        self._places: dict[int, int] = {}

    def keep(self, number: int, snapshot: Snapshot) -> None:
        """Write a snapshot.  Raises ProblemError (kind FILE) when the disk is full."""
        columns = [*snapshot.values.values(), *snapshot.added.values()]
        try:
            if self._file is None:
                self._open("w+b")
                self._values, self._added = tuple(snapshot.values), tuple(snapshot.added)
                self._rows = columns[0].size if columns else 0
            assert self._file is not None
            self._places[number] = self._file.seek(0, 2)
            for column in columns:
                self._file.write(np.ascontiguousarray(column, np.float64).data)
            self._file.flush()
        except OSError as error:
            message = f"cannot keep imputed data in a temporary file: {error.strerror or error}"
            hint = (
                "each data set takes 8 bytes for each row and incomplete or added column; save fewer (NIMPS)"
            )
            raise ProblemError([Problem(message, None, hint, ProblemKind.FILE, str(self.folder))]) from error

    def _open(self, mode: str) -> None:
        self._file = nameless_file(self.folder) if self.path is None else self.path.open(mode)
        weakref.finalize(self, self._file.close)

    def state(self) -> dict[str, Any]:
        """Where in the file everything lies, as plain data; only a file with a name outlives the process."""
        return {
            "places": self._places,
            "values": self._values,
            "added": self._added,
            "rows": self._rows,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state, without the snapshots that were kept since.  OSError when the file is gone."""
        self._places = state["places"]
        self._values, self._added, self._rows = state["values"], state["added"], state["rows"]
        if self._places:
            self._open("r+b")
            assert self._file is not None
            columns = len(self._values) + len(self._added)
            self._file.truncate(max(self._places.values()) + 8 * columns * self._rows)

    def __getitem__(self, number: int) -> Snapshot:
        place = self._places[number]
        assert self._file is not None
        self._file.seek(place)
        values = {name: self._column() for name in self._values}
        return Snapshot(values, {name: self._column() for name in self._added})

    def _column(self) -> NDArray[np.float64]:
        """The next column of the file."""
        assert self._file is not None
        return np.frombuffer(self._file.read(8 * self._rows), np.float64)

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def nameless_file(folder: Path) -> IO[bytes]:
    """A temporary file in a folder, or in the system's one where that cannot be written to."""
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError:
        return tempfile.TemporaryFile()


class Snapshots(Sequence[Snapshot]):
    """The snapshots of all chains in order of their numbers, read from disk one by one."""

    def __init__(self, spools: Iterable[Spool]) -> None:
        found = {number: spool for spool in spools for number in spool}
        self._found = [(found[number], number) for number in sorted(found)]

    @overload
    def __getitem__(self, place: int) -> Snapshot: ...

    @overload
    def __getitem__(self, place: slice) -> list[Snapshot]: ...

    def __getitem__(self, place: int | slice) -> Snapshot | list[Snapshot]:
        if isinstance(place, slice):
            return [spool[number] for spool, number in self._found[place]]
        spool, number = self._found[place]
        return spool[number]

    def __len__(self) -> int:
        return len(self._found)
