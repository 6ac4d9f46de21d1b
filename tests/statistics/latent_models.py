"""Single-level models with latent variables on data simulated with known parameters, and fits of scripts in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from toys import Columns, generator, model_of

from mlbayes import pipeline
from mlbayes.console import SilentProgress
from mlbayes.plan.choose import PlannedModel
from mlbayes.results.document import Document, Row
from mlbayes.results.draws import Draws


@dataclass
class Fit:
    """A run: `draws`, `document`, and the kept draws of every parameter and defined quantity by its name."""

    planned: PlannedModel
    draws: Draws
    document: Document

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Draws after burn-in, shape (chains, draws)."""
        return {name: values[:, self.draws.burn :] for name, values in self.draws.parameters.items()}

    def rows(self) -> dict[str, Row]:
        """Rows of the tables of estimates that vary, by table, section and label."""
        document = self.document
        tables = (*document.outcome_tables, *document.generated_tables, *document.predictor_tables)
        found = {f"{t.name} / {r.section} / {r.label}": r for t in tables for r in t.rows}
        return {name: row for name, row in found.items() if row.neff is not None}

    def smallest(self) -> tuple[float, str]:
        """Smallest N_Eff of all rows per 10,000 draws, and its row."""
        total = self.draws.kept * self.draws.chains
        return min((1e4 * (row.neff or 0.0) / total, name) for name, row in self.rows().items())


def fit(
    text: str, columns: Columns, burn: int = 500, draws: int = 3000, chains: int = 2, seed: int = 7
) -> Fit:
    """Run a script (without DATA and settings) on columns; `draws` in total."""
    settings = f" SEED: {seed}; BURN: {burn}; ITER: {draws}; CHAINS: {chains};"
    model = model_of("DATA: t; " + text + settings, columns)
    planned = pipeline.plan(model)
    made = pipeline.sample(planned, chains, SilentProgress(), threading.Event())
    return Fit(planned, made, pipeline.summarise(model, made))


@dataclass(frozen=True)
class Case:
    """A model: its script, a simulator and true values of labels (or names of parameters)."""

    script: str
    simulate: Callable[[np.random.Generator, int], Columns]
    truth: dict[str, float]
    units: int = 800


def indicators(
    rng: np.random.Generator, factor: np.ndarray, stem: str, loadings: tuple[float, ...], sd: float = 0.7
) -> Columns:
    """Indicators stem1, stem2, ... of a factor with intercepts 0.5, 1.0, ..."""
    return {
        f"{stem}{k}": 0.5 * k + loading * factor + sd * rng.normal(size=factor.size)
        for k, loading in enumerate(loadings, 1)
    }


def pair(rng: np.random.Generator, n: int, a: float, b: float, r: float) -> np.ndarray:
    """Two normal variables with variances a, b and correlation r."""
    cov = r * np.sqrt(a * b)
    return np.linalg.cholesky([[a, cov], [cov, b]]) @ rng.normal(size=(2, n))


def two_factors(rng: np.random.Generator, n: int) -> Columns:
    f, h = pair(rng, n, 1.0, 0.8, 0.4)
    return indicators(rng, f, "x", (1.0, 0.8, 1.2)) | indicators(rng, h, "z", (1.0, 1.1, 0.7))


def regression(rng: np.random.Generator, n: int) -> Columns:
    w = rng.normal(size=n)
    f = 0.5 * w + rng.normal(size=n)
    h = 0.6 * f - 0.3 * w + 0.8 * rng.normal(size=n)
    columns = indicators(rng, f, "x", (1.0, 0.8, 1.2)) | indicators(rng, h, "z", (1.0, 1.1, 0.7))
    columns["w"] = w
    holes = rng.random(n) < 0.2
    columns["x2"][holes] = np.nan
    return columns


def growth(rng: np.random.Generator, n: int) -> Columns:
    w = rng.normal(size=n)
    i, s = pair(rng, n, 1.0, 0.3, -0.2)
    i, s = i + 2.0 + 0.4 * w, s + 0.5 + 0.2 * w
    return {"w": w} | {f"y{t + 1}": i + t * s + 0.7 * rng.normal(size=n) for t in range(5)}


def by_manifest(rng: np.random.Generator, n: int) -> Columns:
    f, w = rng.normal(size=(2, n))
    y = 1.0 + 0.5 * f + 0.3 * w + 0.4 * f * w + 0.8 * rng.normal(size=n)
    return indicators(rng, f, "x", (1.0, 0.8, 1.2)) | {"w": w, "y": y}


def by_latent(rng: np.random.Generator, n: int) -> Columns:
    f, h = pair(rng, n, 1.0, 0.8, 0.3)
    y = 1.0 + 0.5 * f + 0.3 * h + 0.4 * f * h + 0.8 * rng.normal(size=n)
    columns = indicators(rng, f, "x", (1.0, 0.8, 1.2), 0.5) | indicators(rng, h, "z", (1.0, 1.1, 0.7), 0.5)
    return columns | {"y": y}


WAVES = 5


def panel(rng: np.random.Generator, n: int) -> Columns:
    """Traits with deviations that carry over (0.4, 0.3) and cross over (0.2 from y to x, 0.1 from x to y)."""
    p, q = pair(rng, n, 0.8, 0.6, 0.5)
    u, v = pair(rng, n, 1.0, 1.0, 0.3)
    columns = {}
    for t in range(1, WAVES + 1):
        if t > 1:
            e, g = pair(rng, n, 0.8, 0.7, 0.2)
            u, v = 0.4 * u + 0.2 * v + e, 0.3 * v + 0.1 * u + g
        columns |= {f"x{t}": 0.1 * t + p + u, f"y{t}": 1.0 + q + v}
    for name in ("x2", "x5", "y3"):
        columns[name][rng.random(n) < 0.15] = np.nan
    return columns


CASES = {
    "two factors": Case(
        "LATENT: f h; MODEL: f -> x1 x2@l2 x3@l3; h -> z1 z2@k2 z3@k3; f ~~ h@r; x3@v3; z3@u3; x1 ~ 1@m1;",
        two_factors,
        {"l2": 0.8, "l3": 1.2, "k2": 1.1, "k3": 0.7, "r": 0.4, "v3": 0.49, "u3": 0.49, "m1": 0.5}
        | {"f residual": 1.0, "h residual": 0.8},
    ),
    "latent regression": Case(
        "LATENT: f h; FIXED: w; MODEL: f ~ w@a; h ~ f@b w@c; f@s; h@t; f -> x1 x2@l2 x3@l3; h -> z1 z2@k2 z3@k3;",
        regression,
        {"a": 0.5, "b": 0.6, "c": -0.3, "s": 1.0, "t": 0.64, "l2": 0.8, "l3": 1.2, "k2": 1.1, "k3": 0.7},
    ),
    "growth with equal residual variances": Case(
        """LATENT: i s; FIXED: w;
        MODEL: i ~ 1@mi w@gi; s ~ 1@ms w@gs; i ~~ s@r;
        { t in 1:5 }: y[t] ~ 1@0 i@1 s@[t-1];
        { t in 1:5 }: y[t]@v;""",
        growth,
        {"mi": 2.0, "gi": 0.4, "ms": 0.5, "gs": 0.2, "r": -0.2, "v": 0.49}
        | {"i residual": 1.0, "s residual": 0.3},
    ),
    "latent by manifest": Case(
        "LATENT: f; FIXED: w; MODEL: f -> x1 x2@l2 x3@l3; y ~ 1@c f@a w@b f*w@d; f@s; y@v;",
        by_manifest,
        {"c": 1.0, "a": 0.5, "b": 0.3, "d": 0.4, "s": 1.0, "v": 0.64, "l2": 0.8, "l3": 1.2},
    ),
    "latent by latent": Case(
        "LATENT: f h; MODEL: f -> x1 x2@l2 x3@l3; h -> z1 z2@k2 z3@k3; f ~~ h@r; y ~ 1@c f@a h@b f*h@d; y@v;",
        by_latent,
        {
            "c": 1.0,
            "a": 0.5,
            "b": 0.3,
            "d": 0.4,
            "r": 0.3,
            "v": 0.64,
            "l2": 0.8,
            "l3": 1.2,
            "k2": 1.1,
            "k3": 0.7,
        },
    ),
    "cross-lagged panel with random intercepts": Case(
        f"""LATENT: p q;
        MODEL: {{ t in 1:{WAVES} }}: u[t] = x[t] - (mx[t] + p); {{ t in 1:{WAVES} }}: v[t] = y[t] - (my[t] + q);
        p ~~ q@r; x1 ~~ y1;
        x1 ~ 1@mx1 p@1; y1 ~ 1@my1 q@1;
        {{ t in 2:{WAVES} }}: x[t] ~ 1@mx[t] p@1 u[t-1]@a v[t-1]@b;
        {{ t in 2:{WAVES} }}: y[t] ~ 1@my[t] q@1 v[t-1]@c u[t-1]@d;
        {{ t in 2:{WAVES} }}: x[t] ~~ y[t];""",
        panel,
        {"a": 0.4, "b": 0.2, "c": 0.3, "d": 0.1, "r": 0.5, "mx2": 0.2, "my5": 1.0}
        | {"p residual": 0.8, "q residual": 0.6, "x2 residual": 0.8, "y3 residual": 0.7},
    ),
}


def data_of(name: str, seed: int = 31, units: int | None = None) -> Columns:
    """Simulated data of a case."""
    case = CASES[name]
    return case.simulate(generator(seed), units or case.units)
