"""Separate priors on variances and correlations (OPTIONS: use_phantom) against reweighted draws with the flat one.

The flat prior on a 2 x 2 covariance matrix is (v1 v2)^(1/2) times flat variances with a uniform correlation, so
draws of the plain model with weights (v1 v2)^(-1/2) have the law that the separate prior must give.
"""

import threading

import numpy as np
import pytest

from mlbayes import pipeline
from mlbayes.console import SilentProgress
from mlbayes.results.diagnostics import effective_size
from mlbayes.source import Source

ERRORS = 6.0  # Monte Carlo errors allowed; a normal variable is outside with probability 2e-9

TWO_OUTCOMES = """
DATA: data.csv;
MODEL: a ~ 1; b ~ 1; a ~~ b@r;
SEED: 31; BURN: 500; ITER: 20000; CHAINS: 2;
{options}
"""
RANDOM_SLOPE = """
DATA: data.csv;
CLUSTERID: g;
FIXED: a;
MODEL: b ~ a | a;
SEED: 32; BURN: 1500; ITER: 20000; CHAINS: 2;
{options}
"""


def draws_of(folder, script: str, options: str):
    path = folder / "model.inp"
    path.write_text(script.format(options=options))
    model, _ = pipeline.understand(Source(path, path.read_text()))
    return pipeline.sample(pipeline.plan(model), 2, SilentProgress(), threading.Event())


def compare(plain: dict[str, np.ndarray], variances: np.ndarray, separate: dict[str, np.ndarray]) -> None:
    weights = variances.prod(axis=-1) ** -0.5
    weights /= weights.sum()
    for name, values in plain.items():
        expected = float((weights * values).sum())
        sd = np.sqrt(float((weights * (values - expected) ** 2).sum()))
        other = np.ascontiguousarray(separate[name])
        size = min(effective_size(np.ascontiguousarray(values)), effective_size(other)) / 1.5
        assert abs(other.mean() - expected) < ERRORS * sd * np.sqrt(2.0 / size), name
        assert abs(other.std() / sd - 1.0) < ERRORS * 2.0 * np.sqrt(2.0 / size), name


def covariance_parts(draws) -> tuple[dict[str, np.ndarray], np.ndarray]:
    first, second = (equation.residual[:, draws.burn :] for equation in draws.equations)
    return {"v1": first, "v2": second, "r": draws.parameters["r"][:, draws.burn :]}, np.stack(
        [first, second], -1
    )


def effect_parts(draws) -> tuple[dict[str, np.ndarray], np.ndarray]:
    matrix = draws.equations[0].random[0].covariance[:, draws.burn :]
    v1, v2, c = matrix[..., 0, 0], matrix[..., 1, 1], matrix[..., 0, 1]
    return {"v1": v1, "v2": v2, "r": c / np.sqrt(v1 * v2)}, np.stack([v1, v2], -1)


@pytest.mark.parametrize(
    ("script", "parts"), [(TWO_OUTCOMES, covariance_parts), (RANDOM_SLOPE, effect_parts)]
)
def test_separate_prior_is_the_reweighted_flat_one(tmp_path, script, parts):
    rng = np.random.default_rng(8)
    clusters, size = 25, 6
    g = np.repeat(np.arange(clusters), size)
    a = rng.normal(size=g.size)
    effects = rng.multivariate_normal([0, 0], [[1.0, 0.4], [0.4, 0.6]], clusters)
    b = 1 + effects[g, 0] + (0.5 + effects[g, 1]) * a + rng.normal(size=g.size)
    rows = "\n".join(f"{i},{x:.5f},{y:.5f}" for i, x, y in zip(g, a, b, strict=True))
    (tmp_path / "data.csv").write_text("g,a,b\n" + rows + "\n")
    plain, variances = parts(draws_of(tmp_path, script, ""))
    separate, _ = parts(draws_of(tmp_path, script, "OPTIONS: use_phantom;"))
    compare(plain, variances, separate)
