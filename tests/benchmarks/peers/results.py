"""What every Python peer shares: arguments, data, phases, and the file of draws."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

STARTED = time.perf_counter()
SLOPES = ("x1", "x2", "x3", "d")


class Run:
    """One model for one peer: `model`, its columns, and how the time was spent."""

    def __init__(self) -> None:
        self.model, data, out, self.draws, self.warmup = (
            sys.argv[1],
            Path(sys.argv[2]),
            Path(sys.argv[3]),
            int(sys.argv[4]),
            int(sys.argv[5]),
        )
        self.out = out
        titles, *rows = (data / f"{self.model}.csv").read_text().splitlines()
        cells = np.array([line.replace("NA", "nan").split(",") for line in rows], float)
        self.columns = dict(zip(titles.split(","), cells.T, strict=True))
        self.phases: dict[str, float] = {}
        self._since = STARTED

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.phases[phase] = now - self._since
        self._since = now

    def codes(self, name: str) -> np.ndarray:
        """Clusters from 0."""
        return self.columns[name].astype(int) - 1

    def save(self, draws: dict[str, np.ndarray]) -> None:
        """Draws of parameters, shape (chains, draws) each."""
        np.save(self.out / "draws.npy", np.stack([np.asarray(v, float) for v in draws.values()], -1))
        facts = {"names": list(draws), "phases": self.phases}
        (self.out / "meta.json").write_text(json.dumps(facts))


def firsts(groups: np.ndarray) -> np.ndarray:
    """The first row of each cluster."""
    return np.unique(groups, return_index=True)[1]


def triangle(name: str, size: int) -> list[str]:
    """Names of the elements of a covariance matrix, row by row."""
    return [f"{name}{i + 1}{j + 1}" for i in range(size) for j in range(i + 1)]
