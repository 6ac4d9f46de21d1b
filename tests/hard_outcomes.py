"""Data with too little in them for a categorical or count outcome: separation, rare categories, uniform clusters.

Each case is a script, columns of numbers, and a part of each warning that must be given (none for ordinary data).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlbayes.data.table import Column, Table, Vector
from mlbayes.language.parse import parse_script
from mlbayes.model.build import build_model
from mlbayes.model.model import Model
from mlbayes.problems import Problem
from mlbayes.source import Source

PARTED = "The predictor 'x' (line 1) parts the categories of 'y' without overlap"
PRIOR = "PARAMETERS: b ~ normal(0, 1);"


@dataclass(frozen=True)
class Case:
    """`improper`: the run need not have a posterior, so it may also stop with a numerical problem.

    `problem`: part of the message with which the model is refused.
    """

    script: str
    columns: dict[str, Vector]
    warnings: tuple[str, ...] = ()
    improper: bool = False
    problem: str = ""


def attempt(case: Case, settings: str = "") -> tuple[Model | None, list[Problem]]:
    """The model of a case and what is wrong with it; `settings` are put behind its script."""
    script, syntax = parse_script(Source(Path("hard.imp"), f"{case.script} {settings}"))
    assert syntax == []
    rows = len(next(iter(case.columns.values())))
    columns = {name: Column(name, name, values) for name, values in case.columns.items()}
    return build_model(script, Table(Path("hard.dat"), columns, (), np.arange(1, rows + 1)))


def model_of(case: Case, settings: str = "") -> Model:
    """The model of a case without problems."""
    model, problems = attempt(case, settings)
    assert problems == []
    assert model is not None
    return model


def cases() -> dict[str, Case]:
    """All cases by name."""
    rng = np.random.default_rng(33)
    n = 120
    x = np.sort(rng.normal(size=n))
    z = rng.normal(size=n)
    half = (x > x[n // 2]).astype(float)
    nearly = np.where(np.arange(n) == n // 2 + 9, 0.0, half)  # one unit on the wrong side
    tied = np.round(x)  # several units at the point where categories meet
    at_tie = np.where(tied == 0.0, rng.integers(0, 2, n), tied > 0.0).astype(float)
    thirds = np.repeat([1.0, 2.0, 3.0], n // 3)
    ordinary = ((x + rng.logistic(size=n)) > 0.0).astype(float)
    three = 1.0 + (x + rng.normal(size=n) > -0.5) + (x + rng.normal(size=n) > 0.7)
    group = np.resize([1.0, 2.0, 3.0], n)
    in_group = np.where(group == 3.0, 1.0, rng.integers(0, 2, n)).astype(float)
    lacking = np.where((group == 2.0) & (three == 3.0), 1.0, three)
    rare = np.where(np.arange(n) < 2, 3.0, np.minimum(three, 2.0))
    event = (np.arange(500) == 250).astype(float)
    counts = rng.negative_binomial(2, 0.4, n).astype(float)
    gaps = np.array([2.0, 5.0, 90.0])[three.astype(int) - 1]
    cluster = np.repeat(np.arange(n // 6), 6).astype(float)
    uniform = np.repeat(rng.integers(0, 2, n // 6), 6).astype(float)
    uniform[[0, 6]] = 1.0 - uniform[[0, 6]]  # in two clusters only are there two categories
    kinds = np.repeat(np.resize([1.0, 2.0, 3.0], n // 6), 6)
    kinds[0] = 3.0
    few_positive = np.where((cluster < 2.0) & (np.arange(n) % 2 == 0), 4.0, 0.0)
    some_zero = np.where(cluster == 3.0, 0.0, ordinary)
    huge = 1e6 * np.exp(0.3 * z)
    latent = rng.normal(size=n)
    ordinal, nominal, count = "ORDINAL: y; ", "NOMINAL: y; ", "COUNT: y; "
    unordered = "CLUSTERID: c; NOMINAL: y; "
    return {
        "probit": Case(ordinal + "MODEL: y ~ x z;", {"y": half, "x": x, "z": z}, (PARTED,)),
        "logit": Case(ordinal + "MODEL: logit(y) ~ x z;", {"y": half, "x": x, "z": z}, (PARTED,)),
        "quasi-complete": Case(ordinal + "MODEL: logit(y) ~ x;", {"y": at_tie, "x": tied}, (PARTED,)),
        "falling": Case(ordinal + "MODEL: y ~ x;", {"y": half, "x": -x}, (PARTED,)),
        "large units": Case(ordinal + "MODEL: logit(y) ~ x;", {"y": half, "x": 1e6 * x}, (PARTED,)),
        "ordered probit": Case(ordinal + "MODEL: y ~ x;", {"y": thirds, "x": x}, (PARTED,)),
        "ordered logit": Case(ordinal + "MODEL: logit(y) ~ x;", {"y": thirds, "x": x}, (PARTED,)),
        "multinomial": Case(nominal + "MODEL: y ~ x;", {"y": thirds, "x": x}, (PARTED,)),
        "a group of one category": Case(
            "NOMINAL: g; ORDINAL: y; MODEL: y ~ g;",
            {"y": in_group, "g": group},
            ("Where g = 3 (line 1), all values of 'y' are in one category",),
        ),
        "a group without a category": Case(
            "NOMINAL: g y; MODEL: y ~ g;",
            {"y": lacking, "g": group},
            ("Where g = 2 (line 1), a category of 'y' never occurs",),
        ),
        "a group of zeros": Case(
            "NOMINAL: g; COUNT: y; MODEL: y ~ g;",
            {"y": np.where(group == 2.0, 0.0, counts), "g": group},
            problem="where g = 2, all counts of 'y' are 0 (separation): the coefficient has no posterior",
        ),
        "counts at one end": Case(
            count + "MODEL: y ~ x;",
            {"y": np.where(half == 1.0, 0.0, counts), "x": half},
            problem="the predictor 'x' parts the counts of 'y' without overlap (separation)",
        ),
        "stated prior": Case(
            count + f"MODEL: y ~ x@b; {PRIOR}", {"y": np.where(half == 1.0, 0.0, counts), "x": half}
        ),
        "counts at one end of an incomplete predictor": Case(
            count + "MODEL: y ~ x;",
            {"y": np.where(half == 1.0, 0.0, counts), "x": np.where(np.arange(n) == 5, np.nan, -half)},
            ("The predictor 'x' (line 1) parts the counts of 'y'",),
            improper=True,
        ),
        "rare category": Case(
            ordinal + "MODEL: y ~ z;",
            {"y": rare, "z": z},
            ("Category 3 of 'y' (line 1) has only 2 cases in 120",),
        ),
        "one event": Case(
            ordinal + "MODEL: logit(y) ~ x;",
            {"y": event, "x": rng.normal(size=500)},
            ("Category 1 of 'y' (line 1) has only 1 case in 500",),
        ),
        "few counts": Case(
            count + "MODEL: y ~ x;",
            {"y": np.where(np.arange(n) % 40 == 0, 2.0, 0.0), "x": rng.normal(size=n)},
            ("Only 3 of 120 counts of 'y' (line 1) are above 0",),
            improper=True,
        ),
        "constant predictor": Case(
            ordinal + "FIXED: x; MODEL: y ~ x z;",
            {"y": ordinary, "x": np.full(n, 2.0), "z": z},
            ("'x' (line 1) has the same value wherever 'y' is observed",),
        ),
        "uniform clusters": Case(
            "CLUSTERID: c; ORDINAL: y; MODEL: y ~ z;",
            {"y": uniform, "z": z, "c": cluster},
            ("Only 2 clusters of 'c' have values of 'y' (line 1) in two categories",),
            improper=True,
        ),
        "uniform clusters, logit": Case(
            "CLUSTERID: c; ORDINAL: y; MODEL: logit(y) ~ z;",
            {"y": uniform, "z": z, "c": cluster},
            ("Only 2 clusters of 'c'",),
            improper=True,
        ),
        "uniform clusters, nominal": Case(
            unordered + "MODEL: y ~ z;",
            {"y": kinds, "z": z, "c": cluster},
            ("Only 1 cluster of 'c' has values",),
            improper=True,
        ),
        "clusters of zero counts": Case(
            "CLUSTERID: c; COUNT: y; MODEL: y ~ z;",
            {"y": few_positive, "z": z, "c": cluster},
            ("Only 2 clusters of 'c' have values of 'y' (line 1) but 0",),
            improper=True,
        ),
        "uniform clusters, proper prior": Case(
            "CLUSTERID: c; ORDINAL: y; OPTIONS: prior1; MODEL: y ~ z;", {"y": uniform, "z": z, "c": cluster}
        ),
        "two clusters": Case(
            "CLUSTERID: c; ORDINAL: y; OPTIONS: prior1; MODEL: logit(y) ~ x;",
            {"y": ordinary, "x": x, "c": np.resize([1.0, 2.0], n)},
        ),
        "one cluster of zeros": Case(
            "CLUSTERID: c; ORDINAL: y; MODEL: y ~ x;", {"y": some_zero, "x": x, "c": cluster}
        ),
        "one cluster of zero counts": Case(
            "CLUSTERID: c; COUNT: y; MODEL: y ~ x;",
            {"y": np.where(cluster == 3.0, 0.0, counts), "x": x, "c": cluster},
        ),
        "codes with gaps": Case(ordinal + "MODEL: y ~ x;", {"y": gaps, "x": x}),
        "nearly separated": Case(ordinal + "MODEL: y ~ x;", {"y": nearly, "x": x}),
        "huge counts": Case(count + "MODEL: y ~ z;", {"y": np.round(huge), "z": z}),
        "counts of hardly any variance": Case(
            count + "MODEL: y ~ z;", {"y": np.resize([3.0, 4.0], n), "z": z}
        ),
        "separated predictor with gaps": Case(
            "ORDINAL: y x; MODEL: y ~ x z; z ~ x;",
            {"y": half, "x": np.where(np.arange(n) % 7 == 0, np.nan, half), "z": latent},
            (PARTED,),
        ),
    }
