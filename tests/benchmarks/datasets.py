"""Data of the benchmark models: one comma-separated file for each, the same for every program.

    python datasets.py FOLDER [--source FOLDER_OF_THE_GUIDE]

P1, P2, P3, P5 and P6 are data of the Blimp user guide where its folder is at hand; otherwise data of the same shape
are drawn from the models themselves.  P4, P7 and the sizes N... are always drawn.  Seeds are fixed.  Missing values
are written as NA, clusters are numbered from 1.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

GUIDE = Path(__file__).parents[3] / "shared" / "data"  # beside the repository, where it was unpacked there
MISSING = 999.0
SIZES = (1_000, 10_000, 100_000, 1_000_000)

Columns = dict[str, np.ndarray]


def numbered(values: np.ndarray) -> np.ndarray:
    """Clusters as numbers 1, 2, ... in order of their identifiers."""
    return np.unique(values, return_inverse=True)[1].reshape(-1) + 1


def group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean of the cluster of each row."""
    sums = np.bincount(groups, values)
    return (sums / np.maximum(np.bincount(groups), 1))[groups]


def picked(columns: Columns, rows: np.ndarray) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


# ------------------------------------------------------------------ the guide's files
def guide_columns(path: Path, names: str) -> Columns:
    """Columns of a file of the guide, nan where it has the code of missing values."""
    titles = names.split()
    words = path.read_text().replace(",", " ").split()
    values = np.array(words, float).reshape(-1, len(titles))
    values[values == MISSING] = np.nan
    return dict(zip(titles, values.T, strict=True))


def guide_school(folder: Path) -> Columns:
    """Two levels with gaps: id, y, x1, x2, x3, d."""
    found = guide_columns(folder / "data8.dat", "row group x1 x2 y a b d e f g x3 h i")
    return {"id": numbered(found["group"]), **{name: found[name] for name in ("y", "x1", "x2", "x3", "d")}}


def guide_growth(folder: Path) -> Columns:
    """Three levels: id3, id, y, time, d."""
    found = guide_columns(folder / "data10.dat", "row id id3 y time a b c e f g d h i")
    return {name: found[name] for name in ("id3", "id", "y", "time", "d")}


def guide_diary(folder: Path) -> Columns:
    """Series of 50 occasions: id, time, y, x."""
    found = guide_columns(folder / "mcneish_hamaker_2020.dat", "y x a b id time")
    return {"id": numbered(found["id"]), **{name: found[name] for name in ("time", "y", "x")}}


# ------------------------------------------------------------------ the same shapes, drawn
def effects(rng: np.random.Generator, covariance: list[list[float]], clusters: int) -> np.ndarray:
    """Normal random effects, shape (clusters, effects)."""
    return rng.normal(size=(clusters, len(covariance))) @ np.linalg.cholesky(np.array(covariance)).T


def drawn_school(rng: np.random.Generator) -> Columns:
    """132 clusters and 2,680 rows with the gaps and the size of effects of the guide's file."""
    clusters = 132
    size = rng.integers(13, 28, clusters)
    g = np.repeat(np.arange(clusters), size)
    u = effects(rng, [[0.25, 0.0], [0.0, 0.02]], clusters)
    x1 = (4.0 + rng.normal(0.0, 0.8, clusters))[g] + rng.normal(0.0, 1.2, g.size)
    x2 = (5.4 + rng.normal(0.0, 0.6, clusters))[g] + 0.2 * (x1 - 4.0) + rng.normal(0.0, 2.0, g.size)
    x3 = rng.normal(2.8, 1.0, clusters)
    d = (rng.random(clusters) < 0.5).astype(float)
    y = 4.0 - 0.1 * (x1 - 4.0) + 0.1 * (x2 - 5.4) + 0.05 * (x3[g] - 2.8) - 0.1 * d[g]
    y += u[g, 0] + u[g, 1] * (x1 - 4.0) + rng.normal(0.0, 0.7, g.size)
    x3[rng.random(clusters) < 0.03] = np.nan
    for values, share in ((y, 0.1), (x1, 0.08), (x2, 0.08)):
        values[rng.random(g.size) < share] = np.nan
    return {"id": g + 1, "y": y, "x1": x1, "x2": x2, "x3": x3[g], "d": d[g]}


def drawn_growth(rng: np.random.Generator) -> Columns:
    """29 clusters of 34 units with 7 occasions, some of them without y."""
    clusters, units, occasions = 29, 34, 7
    id3 = np.repeat(np.arange(clusters), units * occasions)
    unit = np.repeat(np.arange(clusters * units), occasions)
    time = np.tile(np.arange(float(occasions)), clusters * units)
    d = (np.arange(clusters) % 2).astype(float)[id3]
    u = effects(rng, [[30.0, -1.0], [-1.0, 1.0]], clusters * units)[unit]
    w = effects(rng, [[8.0, 0.1], [0.1, 0.3]], clusters)[id3]
    y = 50.0 + 2.0 * time + 1.0 * d + 0.5 * time * d + u[:, 0] + w[:, 0] + (u[:, 1] + w[:, 1]) * time
    y += rng.normal(0.0, 5.0, y.size)
    y[rng.random(y.size) < 0.12] = np.nan
    return {"id3": id3 + 1, "id": unit + 1, "y": y, "time": time, "d": d}


def drawn_diary(rng: np.random.Generator) -> Columns:
    """100 persons with 50 occasions."""
    persons, occasions = 100, 50
    mean_x, mean_y = rng.normal(0.0, 0.1, persons), rng.normal(0.0, 0.8, persons)
    inertia, slope = rng.normal(0.2, 0.15, persons), rng.normal(0.8, 0.9, persons)
    x = mean_x[:, None] + rng.normal(0.0, 1.0, (persons, occasions))
    y = np.empty_like(x)
    before = rng.normal(0.0, 1.0, persons)
    for t in range(occasions):
        before = inertia * before + slope * (x[:, t] - mean_x) + rng.normal(0.0, 1.0, persons)
        y[:, t] = mean_y + before
    person = np.repeat(np.arange(1, persons + 1), occasions)
    time = np.tile(np.arange(1.0, occasions + 1), persons)
    return {"id": person, "time": time, "y": y.ravel(), "x": x.ravel()}


def logit_data() -> Columns:
    """P4: 250 clusters of 20 rows."""
    rng = np.random.default_rng(4)
    clusters, rows = 250, 20
    g = np.repeat(np.arange(clusters), rows)
    u = effects(rng, [[0.8, 0.15], [0.15, 0.3]], clusters)[g]
    x, w = rng.normal(size=g.size), rng.normal(size=clusters)[g]
    chance = 1.0 / (1.0 + np.exp(0.5 - 0.7 * x - 0.4 * w - u[:, 0] - u[:, 1] * x))
    return {"id": g + 1, "y": (rng.random(g.size) < chance).astype(float), "x": x, "w": w}


def two_level_data(rows: int, clusters: int, seed: int, gaps: float = 0.0) -> Columns:
    """P7 and N...: random intercept and slope of x1 in clusters of about the same size; `gaps` in y, x1 and x2."""
    rng = np.random.default_rng(seed)
    g = np.sort(np.concatenate([np.arange(clusters), rng.integers(clusters, size=rows - clusters)]))
    u = effects(rng, [[0.6, 0.02], [0.02, 0.05]], clusters)[g]
    x1 = rng.normal(size=rows)
    x2 = rng.normal(0.0, 2.0, rows)
    if gaps == 0.0:
        x1 -= group_means(x1, g)
    x3 = rng.normal(size=clusters)[g]
    d = (rng.random(clusters) < 0.5).astype(float)[g]
    y = 4.0 - 0.1 * x1 + 0.1 * x2 + 0.05 * x3 - 0.1 * d + u[:, 0] + u[:, 1] * x1 + rng.normal(0.0, 0.6, rows)
    if gaps:
        for values in (y, x1, x2):
            values[rng.random(rows) < gaps] = np.nan
    return {"id": g + 1, "y": y, "x1": x1, "x2": x2, "x3": x3, "d": d}


# ------------------------------------------------------------------ the models
def complete_school(school: Columns) -> Columns:
    """P1: complete rows, x1 centred at its cluster means, x2 and x3 at their means."""
    whole = picked(school, ~np.any([np.isnan(values) for values in school.values()], axis=0))
    whole["id"] = numbered(whole["id"])
    whole["x1"] = whole["x1"] - group_means(whole["x1"], whole["id"])
    for name in ("x2", "x3"):
        whole[name] = whole[name] - whole[name].mean()
    return whole


def centred(columns: Columns, name: str) -> Columns:
    return {**columns, name: columns[name] - np.nanmean(columns[name])}


def observed_growth(growth: Columns) -> Columns:
    """P2: rows with y."""
    rows = picked(growth, ~np.isnan(growth["y"]))
    return {**rows, "id": numbered(rows["id"]), "id3": numbered(rows["id3"])}


def lagged(diary: Columns) -> Columns:
    """P6: in order of time, with a column of the value of y before."""
    rows = picked(diary, np.lexsort((diary["time"], diary["id"])))
    before = np.concatenate([[np.nan], rows["y"][:-1]])
    before[np.concatenate([[True], rows["id"][1:] != rows["id"][:-1]])] = np.nan
    return {**rows, "ylag": before}


def write(path: Path, columns: Columns) -> None:
    """A file with a header; whole numbers without decimals."""
    words = []
    for values in columns.values():
        whole = bool(np.all(np.isnan(values) | (np.rint(values) == values)))
        words.append(
            ["NA" if math.isnan(v) else f"{v:.0f}" if whole else f"{v:.6f}" for v in values.tolist()]
        )
    with path.open("w") as file:
        file.write(",".join(columns) + "\n")
        file.writelines(",".join(row) + "\n" for row in zip(*words, strict=True))


def make(folder: Path, names: list[str], source: Path = GUIDE) -> str:
    """Write the data of models that are not there yet; returns where those of the guide come from."""
    folder.mkdir(parents=True, exist_ok=True)
    guide = (source / "data8.dat").exists()
    school = guide_school(source) if guide else drawn_school(np.random.default_rng(1))
    growth = guide_growth(source) if guide else drawn_growth(np.random.default_rng(2))
    diary = guide_diary(source) if guide else drawn_diary(np.random.default_rng(3))
    makers = {
        "P1": lambda: complete_school(school),
        "P2": lambda: observed_growth(growth),
        "P3": lambda: centred(school, "d"),
        "P4": logit_data,
        "P5": lambda: centred(complete_school(school), "d"),
        "P6": lambda: lagged(diary),
        "P7": lambda: two_level_data(200_000, 5_000, 7),
        **{f"N{n}": lambda n=n: two_level_data(n, n // 50, 8) for n in SIZES},
        **{f"M{n}": lambda n=n: two_level_data(n, n // 50, 9, 0.05) for n in SIZES},
    }
    for name in names:
        if not (folder / f"{name}.csv").exists():
            write(folder / f"{name}.csv", makers[name]())
    return "user guide" if guide else "drawn"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", type=Path, default=GUIDE)
    parser.add_argument("--models", nargs="*", default=[f"P{k}" for k in range(1, 8)])
    options = parser.parse_args()
    print(make(options.folder, options.models, options.source))
