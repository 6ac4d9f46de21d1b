"""Peak memory of large runs, in processes of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mlbayes

pytestmark = pytest.mark.slow
PACKAGES = Path(mlbayes.__file__).parents[1]  # the copy that is tested, installed or not
BASE = 450  # megabytes: the program itself, and what a run of this size holds besides the rows

MANY_ROWS = """\
DATA: data.csv;
MISSING: NA;
CLUSTERID: id;
FIXED: w;
MODEL: y ~ x w | x;
SEED: 3;
BURN: 20;
ITER: 80;
"""
MANY_PARAMETERS = """\
DATA: data.csv;
FIXED: x1:x50;
MODEL: { y1 y2 y3 y4 } ~ x1:x50;
SEED: 3;
BURN: 100;
ITER: 10000;
SAVE: iterations = draws.csv;
"""


def peak(folder: Path, script: str) -> float:
    """Megabytes that a run needs at the most, as it says itself (the system's count)."""
    (folder / "model.imp").write_text(script)
    done = subprocess.run(
        [sys.executable, "-m", "mlbayes", "run", "model.imp", "--usage", "--output", "report.txt"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"at most (\d+) MB of memory", done.stderr)
    assert found is not None
    return float(found[1])


def write(path: Path, columns: dict[str, np.ndarray]) -> None:
    texts = [np.where(np.isnan(v), "NA", np.char.mod("%.4f", v)) for v in columns.values()]
    with path.open("w") as file:
        file.write(",".join(columns) + "\n")
        file.writelines(",".join(row) + "\n" for row in zip(*texts, strict=True))


def test_memory_does_not_grow_with_the_number_of_imputations(tmp_path):
    """A million rows: fifty data sets of five columns are 2 GB in memory, and 2 GB of text in the file."""
    rows, clusters = 1_000_000, 20_000
    rng = np.random.default_rng(1)
    group = np.sort(rng.integers(clusters, size=rows))
    x, w = rng.normal(size=rows), rng.normal(size=clusters)[group]
    y = x + w + rng.normal(size=clusters)[group] + rng.normal(size=rows)
    for values in (x, y):
        values[rng.random(rows) < 0.05] = np.nan
    write(tmp_path / "data.csv", {"id": group.astype(float), "y": y, "x": x, "w": w})
    few = peak(tmp_path, MANY_ROWS + "NIMPS: 2;\nSAVE: stacked = imps.csv;\n")
    many = peak(tmp_path, MANY_ROWS + "NIMPS: 50;\nSAVE: stacked = imps.csv;\n")
    lines = 0
    with (tmp_path / "imps.csv").open("rb") as file:
        while block := file.read(1 << 24):
            lines += block.count(b"\n")
    assert lines == 1 + 50 * rows
    assert many < few + 50
    assert many < 1500


def test_ten_thousand_draws_of_two_hundred_parameters(tmp_path):
    rng = np.random.default_rng(2)
    columns = {f"x{k}": rng.normal(size=400) for k in range(1, 51)}
    columns |= {f"y{k}": rng.normal(size=400) for k in range(1, 5)}
    write(tmp_path / "data.csv", columns)
    assert peak(tmp_path, MANY_PARAMETERS) < BASE
    with (tmp_path / "draws.csv").open() as file:
        width = len(next(file).split(","))
        assert sum(1 for _ in file) == 9_999
    assert width >= 200
