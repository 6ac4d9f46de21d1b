"""The numbers that chains record after each sweep: in memory, or on disk where there are many."""

from __future__ import annotations

import math
import mmap
import os
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mlbayes.engine.spool import nameless_file
from mlbayes.problems import Problem, ProblemError, ProblemKind

IN_MEMORY = 1 << 24  # bytes of records that stay in memory
NUMBER = 8  # bytes


class Records:
    """Recorded numbers, `values` of shape (chains, sweeps, width).

    More than `IN_MEMORY` bytes lie in a file without a name in `folder` that is mapped into memory; the system has the
    memory back at each `release`.  Raises ProblemError (kind FILE) when the disk has no room.
    """

    def __init__(self, shape: tuple[int, int, int], folder: Path) -> None:
        self._mapped: mmap.mmap | None = None
        self.values: NDArray[np.float64]
        if on_disk(shape) == 0:
            self.values = np.empty(shape)
            return
        try:
            with nameless_file(folder) as file:
                _reserve(file, on_disk(shape))
                self._mapped = mmap.mmap(file.fileno(), on_disk(shape))
        except OSError as error:
            message = f"cannot keep the draws in a temporary file: {error.strerror or error}"
            hint = "lower BURN, ITER or CHAINS, or make room on the disk"
            raise ProblemError([Problem(message, None, hint, ProblemKind.FILE, str(folder))]) from error
        self.values = np.frombuffer(self._mapped, np.float64).reshape(shape)

    def release(self) -> None:
        """Give the memory of what has been written back to the system; it is read from the file when it is needed."""
        if self._mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)


def on_disk(shape: tuple[int, int, int]) -> int:
    """Bytes on disk of records of a shape; 0 where they stay in memory."""
    size = NUMBER * math.prod(shape)
    return size if size > IN_MEMORY else 0


def _reserve(file: IO[bytes], size: int) -> None:
    """Make a file as large as it will be: a disk that is full later would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)
