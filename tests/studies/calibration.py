"""Simulation-based calibration of a model of each family, with small data: `mlbayes calibrate` on scripts made here.

    PYTHONPATH=tests python tests/studies/calibration.py --folder DIR [--sims 200] [FAMILY ...]

Writes a script and a data file for each family into the folder, calibrates it, and prints a line for each; results are
kept in the folder, so that an interrupted study goes on when it is called again.  What the data hold does not matter
but for their structure, their missing values and the scale of stand-in priors.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from toys import Columns, generator, holed, three_level, two_level

from mlbayes.calibrate.report import render
from mlbayes.calibrate.run import CalibrationOptions, calibrate
from mlbayes.console import Console
from mlbayes.pipeline import read


@dataclass(frozen=True)
class Family:
    """A script without its data file, and its data."""

    script: str
    columns: Columns


def with_holes(columns: Columns, names: tuple[str, ...], share: float, seed: int) -> Columns:
    """Some values of some columns set missing."""
    rng = generator(seed)
    made = {name: np.array(values, dtype=float) for name, values in columns.items()}
    for name in names:
        made[name][rng.random(made[name].size) < share] = np.nan
    return made


def items(seed: int, rows: int = 80) -> Columns:
    """Six indicators of two factors."""
    rng = generator(seed)
    f = rng.normal(size=(2, rows))
    f[1] = 0.5 * f[0] + 0.8 * f[1]
    loadings = (1.0, 0.8, 1.2)
    made = {f"x{i + 1}": loadings[i] * f[0] + 0.7 * rng.normal(size=rows) for i in range(3)}
    return made | {f"z{i + 1}": loadings[i] * f[1] + 0.7 * rng.normal(size=rows) for i in range(3)}


def clustered(seed: int, clusters: int, size: int) -> tuple[Columns, np.ndarray]:
    """Clusters g with predictors x (rows) and w (clusters), and a linear predictor with random intercepts."""
    rng = generator(seed)
    g = np.repeat(np.arange(clusters), size)
    x, w = rng.normal(size=g.size), rng.normal(size=clusters)[g]
    eta = 0.2 + 0.5 * x + 0.3 * w + 0.7 * rng.normal(size=clusters)[g]
    return {"g": g.astype(float), "x": x, "w": w}, eta


def ordinal() -> Columns:
    columns, eta = clustered(71, 25, 6)
    y = np.searchsorted([-0.7, 0.3, 1.2], eta + generator(72).normal(size=eta.size)) + 1.0
    return with_holes(columns | {"y": y}, ("y",), 0.1, 73)


def logit() -> Columns:
    columns, eta = clustered(74, 25, 8)
    y = (eta + generator(75).logistic(size=eta.size) > 0).astype(float)
    return with_holes(columns | {"y": y}, ("y", "x"), 0.1, 76)


def nominal() -> Columns:
    rng = generator(77)
    x, z = rng.normal(size=(2, 120))
    utilities = np.stack([0.0 * x, 0.3 + 0.5 * x, -0.2 + 0.5 * z]) + rng.gumbel(size=(3, x.size))
    return with_holes({"y": utilities.argmax(axis=0) + 1.0, "x": x, "z": z}, ("y", "x"), 0.1, 78)


def count() -> Columns:
    columns, eta = clustered(79, 25, 6)
    rng = generator(80)
    y = rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, eta.size)).astype(float)
    return with_holes(columns | {"y": y}, ("y",), 0.1, 81)


def scale() -> Columns:
    columns, eta = clustered(82, 25, 8)
    rng = generator(83)
    y = eta + np.exp(0.3 * columns["x"]) * rng.normal(size=eta.size)
    return with_holes(columns | {"y": y}, ("y",), 0.1, 84)


def series() -> Columns:
    rng = generator(85)
    clusters, occasions = 15, 10
    y = np.zeros((clusters, occasions))
    mu = 1.0 + 0.7 * rng.normal(size=clusters)
    y[:, 0] = mu + rng.normal(size=clusters)
    for t in range(1, occasions):
        y[:, t] = mu + 0.4 * (y[:, t - 1] - mu) + rng.normal(size=clusters)
    columns = {
        "g": np.repeat(np.arange(clusters), occasions).astype(float),
        "t": np.tile(np.arange(occasions), clusters) + 1.0,
        "y": y.ravel(),
    }
    return with_holes(columns, ("y",), 0.1, 86)


def selection() -> Columns:
    """y is missing where y and x say so."""
    columns, eta = clustered(89, 25, 8)
    rng = generator(90)
    y = eta + rng.normal(size=eta.size)
    gone = 0.7 * y - 0.3 * columns["x"] - 0.9 + rng.normal(size=y.size) > 0.0
    return columns | {"y": np.where(gone, np.nan, y)}


def dropout() -> Columns:
    """30 persons of up to six weeks who leave the earlier the larger y is; some values are missing before."""
    rng = generator(91)
    persons, weeks = 30, 6
    y = (0.8 * rng.normal(size=persons))[:, None] + 0.1 * np.arange(weeks) + rng.normal(size=(persons, weeks))
    leaves = (0.5 * y - 1.4 + rng.normal(size=y.shape) > 0.0) & (np.arange(weeks) > 0)
    y[np.cumsum(leaves, axis=1) > 0] = np.nan
    columns = {
        "g": np.repeat(np.arange(persons), weeks).astype(float),
        "t": np.tile(np.arange(weeks), persons).astype(float),
        "y": y.ravel(),
    }
    return with_holes(columns, ("y",), 0.05, 92)


def weights() -> Columns:
    """Weights v of rows and u of clusters."""
    columns, eta = clustered(93, 25, 8)
    rng = generator(94)
    v, u = rng.uniform(0.5, 2.0, eta.size), rng.uniform(0.5, 3.0, 25)[columns["g"].astype(int)]
    y = eta + rng.normal(size=eta.size)
    return with_holes(columns | {"y": y, "v": v, "u": u}, ("y", "x"), 0.1, 95)


def binary() -> Columns:
    """A binary predictor b that differs between clusters, incomplete."""
    columns, eta = clustered(96, 25, 8)
    rng = generator(97)
    b = (eta + rng.normal(size=eta.size) > 0.0).astype(float)
    y = eta + 0.5 * b + rng.normal(size=eta.size)
    return with_holes(columns | {"y": y, "b": b}, ("y", "b"), 0.1, 98)


CLUSTERED = "MISSING: NA; CLUSTERID: g; OPTIONS: prior1;\n"
FAMILIES = {
    "normal": Family(
        "MISSING: NA; CLUSTERID: g; CENTER: grandmean = x z w;\nMODEL: y ~ x z w | x;",
        holed(two_level, ("y", "x", "z"), clusters=20),
    ),
    "three-level": Family(
        "MISSING: NA; CLUSTERID: k g;\nMODEL: y ~ x w s | x;", holed(three_level, ("y", "x", "w"), schools=12)
    ),
    "multilevel-sem": Family(
        "MISSING: NA; CLUSTERID: g; LATENT: g = level slope; FIXED: w;\n"
        "MODEL: level ~ 1 w; slope ~ 1 w; level ~~ slope; y ~ 1@level x@slope z;",
        holed(two_level, ("y", "x"), clusters=25),
    ),
    "cfa": Family(
        "MISSING: NA; LATENT: f h;\nMODEL: f -> x1:x3; h -> z1:z3; f ~~ h;",
        with_holes(items(87), ("x2", "z1"), 0.15, 88),
    ),
    "ordinal": Family(CLUSTERED + "ORDINAL: y; FIXED: x w;\nMODEL: y ~ x w;", ordinal()),
    "logit": Family(CLUSTERED + "ORDINAL: y; FIXED: w;\nMODEL: logit(y) ~ x w | x;", logit()),
    "nominal": Family("MISSING: NA; NOMINAL: y; FIXED: z;\nMODEL: y ~ x z;", nominal()),
    "count": Family(CLUSTERED + "COUNT: y; FIXED: x w;\nMODEL: y ~ x w;", count()),
    "location-scale": Family(CLUSTERED + "FIXED: x w;\nMODEL: y ~ x w; var(y) ~ x | 1;", scale()),
    "ar1": Family(
        "MISSING: NA; CLUSTERID: g; TIMEID: t; LATENT: g = mu;\n"
        "MODEL: lagged = y.lag - mu; y ~ 1@mu lagged@a; mu ~ 1@c;",
        series(),
    ),
    "hev": Family("MISSING: NA; CLUSTERID: g; OPTIONS: prior1 hev; FIXED: x w;\nMODEL: y ~ x w;", scale()),
    "selection": Family(
        CLUSTERED + "FIXED: x;\nMODEL: y ~ x; y.missing ~ y@s x;\nPARAMETERS: s ~ normal(0, 0.5);",
        selection(),
    ),
    "dropout": Family(
        CLUSTERED + "TIMEID: t; DROPOUT: quit = y; FIXED: t;\nMODEL: y ~ t; quit ~ 1@q y@s y.lag@l | 1@0;\n"
        "PARAMETERS: q ~ normal(-1.3, 0.1); s ~ normal(0, 0.3); l ~ normal(0, 0.3);",
        dropout(),
    ),
    "weights": Family("MISSING: NA; CLUSTERID: g; WEIGHT: v u;\nMODEL: y ~ x | x;", weights()),
    "centred-binary": Family(
        "MISSING: NA; CLUSTERID: g; FIXED: x; ORDINAL: b; CENTER: groupmean = b;\nMODEL: y ~ x b;",
        binary(),
    ),
}


def write(family: Family, folder: Path, name: str, seed: int) -> Path:
    """The script and the data of a family as files; the path of the script."""
    names = list(family.columns)
    lines = [",".join(names)]
    for values in zip(*family.columns.values(), strict=True):
        lines.append(",".join("NA" if np.isnan(value) else f"{value:.10g}" for value in values))
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    script = folder / f"{name}.inp"
    script.write_text(f"DATA: {name}.csv; SEED: {seed};\n{family.script}\n")
    return script


def main() -> None:
    """Calibrate the families of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(FAMILIES))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sims", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True, parents=True)
    for name in options.families or FAMILIES:
        script = write(FAMILIES[name], options.folder, name, options.seed)
        settings = CalibrationOptions(options.sims, options.jobs)
        found = calibrate(read(script), settings, Console(quiet=True))
        (options.folder / f"{name}.txt").write_text(render(found) + "\n")
        smallest = min((one.p, name) for name, one in found.quantities.items()) if found.quantities else "-"
        print(
            f"{name}: {len(found.quantities)} quantities, smallest p {smallest}, without a fit"
            f" {sum(found.failures.values())}, dependent {found.dependent},"
            f" {'calibrated' if found.passed else 'NOT CALIBRATED'}",
            flush=True,
        )


if __name__ == "__main__":
    main()
