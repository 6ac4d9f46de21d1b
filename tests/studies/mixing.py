"""Effective draws of the models that are known to mix badly: thresholds, variances of random slopes, dispersion.

    PYTHONPATH=tests python tests/studies/mixing.py [--folder DIR] [--data 3] [MODEL ...]

Simulates data sets of each model, runs 1,000 burn-in sweeps in each of 4 chains and 10,000 draws in all, and prints the
smallest N_Eff of its variances, coefficients, thresholds and loadings, with the row that has it and the seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from toys import Columns

from mlbayes import pipeline
from mlbayes.console import Console
from mlbayes.results.document import Row

LENGTH = "BURN: 1000; ITER: 10000; SEED: 3;\n"
SECTIONS = ("Variances", "Coefficients", "Thresholds", "Loadings", "Dispersion", None)


@dataclass(frozen=True)
class Case:
    """A script without its data file, and what makes its data."""

    script: str
    columns: Callable[[np.random.Generator], Columns]


def single_level(rng: np.random.Generator) -> Columns:
    """630 rows, a probit with seven categories."""
    n = 630
    x, z = rng.normal(size=n), rng.binomial(1, 0.4, n).astype(float)
    latent = 0.5 * x + 0.4 * z + rng.normal(size=n)
    return {"x": x, "z": z, "y": 1.0 + np.digitize(latent, [-1.5, -0.9, -0.3, 0.3, 0.9, 1.6])}


def clusters(rng: np.random.Generator) -> tuple[Columns, np.ndarray]:
    """150 clusters of 20 rows, and their number for each row."""
    g = np.repeat(np.arange(150), 20)
    return {"g": g + 1.0, "x": rng.normal(size=g.size), "w": rng.normal(size=150)[g]}, g


def two_level_probit(rng: np.random.Generator) -> Columns:
    """Five categories, random intercepts."""
    columns, g = clusters(rng)
    eta = 0.4 * columns["x"] + 0.3 * columns["w"] + 0.6 * rng.normal(size=150)[g]
    y = 1.0 + np.digitize(eta + rng.normal(size=g.size), [-1.0, -0.2, 0.5, 1.2])
    return columns | {"y": y}


def two_level_logit(rng: np.random.Generator) -> Columns:
    """Random intercepts and slopes."""
    columns, g = clusters(rng)
    slope = 0.6 + 0.4 * rng.normal(size=150)[g]
    eta = -0.3 + slope * columns["x"] + 0.3 * columns["w"] + 0.6 * rng.normal(size=150)[g]
    return columns | {"y": (rng.random(g.size) < 1.0 / (1.0 + np.exp(-eta))).astype(float)}


def counts(rng: np.random.Generator) -> Columns:
    """Negative binomial, dispersion 0.6."""
    columns, g = clusters(rng)
    mean = np.exp(0.8 + 0.3 * columns["x"] + 0.2 * columns["w"])
    return columns | {"y": rng.negative_binomial(1.0 / 0.6, 1.0 / (1.0 + 0.6 * mean)).astype(float)}


def questionnaire(rng: np.random.Generator) -> Columns:
    """300 people, two factors with six items each of six and seven categories."""
    factors = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]], 300)
    cuts = [-1.6, -0.9, -0.3, 0.3, 1.0, 1.7]
    items = {}
    for k in range(12):
        latent = (0.7 + 0.05 * (k % 6)) * factors[:, k // 6] + 0.7 * rng.normal(size=300)
        items[f"i{k + 1}"] = 1.0 + np.digitize(latent, cuts[: 6 if k % 2 else 5])
    return items


CASES = {
    "probit": Case("ORDINAL: y; FIXED: x z; MODEL: y ~ x z;", single_level),
    "two-level-probit": Case("CLUSTERID: g; ORDINAL: y; FIXED: x w; MODEL: y ~ x w;", two_level_probit),
    "two-level-logit": Case(
        "CLUSTERID: g; ORDINAL: y; FIXED: x w; MODEL: logit(y) ~ x w | x;", two_level_logit
    ),
    "count": Case("COUNT: y; FIXED: x w; MODEL: y ~ x w;", counts),
    "factors": Case(
        "ORDINAL: i1:i12; LATENT: f1 f2; MODEL: f1 -> i1:i6; f2 -> i7:i12; f1 ~~ f2;", questionnaire
    ),
}


def run(case: Case, seed: int, folder: Path) -> tuple[list[tuple[str, Row]], float]:
    """The rows of all tables with the name of their table, and seconds."""
    columns = case.columns(np.random.default_rng(seed))
    data = np.column_stack(list(columns.values()))
    np.savetxt(folder / "data.csv", data, "%.6g", ",", header=",".join(columns), comments="")
    script = folder / "model.inp"
    script.write_text(f"DATA: data.csv; {case.script}\n{LENGTH}")
    started = time.perf_counter()
    documents, _ = pipeline.run(pipeline.read(script), pipeline.RunOptions(), Console(quiet=True))
    tables = [*documents[0].outcome_tables, *documents[0].predictor_tables]
    return [(table.name, row) for table in tables for row in table.rows], time.perf_counter() - started


def parameters(rows: list[tuple[str, Row]]) -> Iterator[tuple[float, str]]:
    """N_Eff and name of what the model has as parameters, which leaves out standardised rows and R2."""
    for table, row in rows:
        if row.neff is not None and row.section in SECTIONS:
            yield row.neff, f"{table}: {row.label}"


def main() -> None:
    """Run the models of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(CASES))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--data", type=int, default=3, help="data sets of each model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models or CASES:
            for seed in range(1, options.data + 1):
                rows, seconds = run(CASES[name], seed, options.folder or Path(folder))
                least, which = min(parameters(rows))
                print(f"{name:20s} data {seed}  N_Eff {least:8.0f}  {which:40s} {seconds:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
