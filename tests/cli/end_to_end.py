"""Scripts run as a user runs them, on data that a test has made."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from mlbayes.cli import main


def as_text(columns: dict[str, np.ndarray]) -> str:
    """Columns as a comma-separated file, NA where missing."""
    rows = [
        [("NA" if math.isnan(x) else f"{x:g}") for x in row] for row in zip(*columns.values(), strict=True)
    ]
    return "\n".join(",".join(row) for row in [list(columns), *rows]) + "\n"


def run_in(folder: Path, script: str, columns: dict[str, np.ndarray]) -> Path:
    """A folder in which a script has run: data.csv, model.inp, the report r.txt and the document r.json."""
    (folder / "data.csv").write_text(as_text(columns))
    (folder / "model.inp").write_text(script)
    arguments = ["--quiet", "--output", str(folder / "r.txt"), "--json", str(folder / "r.json")]
    assert main([str(folder / "model.inp"), *arguments]) == 0
    return folder
