"""Moments of simulated variables against those that the statements say, at the false-alarm rate of rates.py."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from rates import critical  # noqa: E402

from mlbayes.data.simulate import simulate  # noqa: E402
from mlbayes.language.parse import parse_script  # noqa: E402
from mlbayes.source import Source  # noqa: E402

SCRIPT = """
SIMULATE:
  row(1) = 120000; cluster(2) = 4000;
  define: slope = .5;  u0 ~~ u1 = -.4;
  cluster:
    u0 = normal(3, 2);  u1 = normal(slope, .25);
  row:
    time = row.time;
    n = normal(2, 9);
    u = uniform(-1, 3);
    b = bernoulli(.2);
    a = normal(0, 1);  c = normal(a, 4);  d = normal(0, 1);
    a ~~ c = .6;  c ~~ d = .5;
    o = (iphi(uniform(0, 1)) > 1) + (u > 0);
    y = normal(u0 + u1*n, 1.5);
    s = ifelse(row.time == 1, normal(0, 1/(1 - .36)), normal(.6*s.lag, 1));
    m = missing(bernoulli(phi(n - 2)), n);
SEED: 101;
"""


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    script, problems = parse_script(Source(Path("test.imp"), SCRIPT))
    assert problems == []
    table = simulate(script)
    return {**{name: column.values for name, column in table.columns.items()}, **table.simulated}


def check_moments(values: np.ndarray, mean: float, variance: float, excess: float = 0.0) -> None:
    """Mean and variance of independent values; `excess` is the kurtosis of their law minus 3."""
    count = len(values)
    assert abs(values.mean() - mean) < critical() * np.sqrt(variance / count)
    spread = variance * np.sqrt((2.0 + excess) / count)
    assert abs(np.mean((values - mean) ** 2) - variance) < critical() * spread


def check_correlation(x: np.ndarray, y: np.ndarray, r: float) -> None:
    """Of jointly normal values, by Fisher's transformation."""
    z = np.arctanh(np.corrcoef(x, y)[0, 1]) - np.arctanh(r)
    assert abs(z) * np.sqrt(len(x) - 3) < critical()


def test_normal(data):
    check_moments(data["n"], 2.0, 9.0)


def test_uniform(data):
    assert data["u"].min() >= -1.0 and data["u"].max() < 3.0
    check_moments(data["u"], 1.0, 16 / 12, -1.2)


def test_bernoulli(data):
    assert set(data["b"]) == {0.0, 1.0}
    assert abs(data["b"].mean() - 0.2) < critical() * np.sqrt(0.16 / len(data["b"]))


def test_independent_variables(data):
    for x, y in (("n", "a"), ("n", "d"), ("a", "d")):
        check_correlation(data[x], data[y], 0.0)


def test_correlated_variables(data):
    check_moments(data["a"], 0.0, 1.0)
    check_moments(data["c"] - data["a"], 0.0, 4.0)
    check_moments(data["d"], 0.0, 1.0)
    check_correlation(data["a"], data["c"] - data["a"], 0.6)
    check_correlation(data["c"] - data["a"], data["d"], 0.5)


def test_variables_of_clusters(data):
    assert len(data["u0"]) == 4000
    check_moments(data["u0"], 3.0, 2.0)
    check_moments(data["u1"], 0.5, 0.25)
    check_correlation(data["u0"], data["u1"], -0.4)


def test_a_model_across_levels(data):
    cluster = (data["cluster"] - 1).astype(int)
    residual = data["y"] - data["u0"][cluster] - data["u1"][cluster] * data["n"]
    check_moments(residual, 0.0, 1.5)
    check_correlation(residual, data["n"], 0.0)


def test_draws_inside_of_expressions(data):
    shares = np.bincount(data["o"].astype(int), minlength=3) / len(data["o"])
    above = 0.15865525393145707  # P(z > 1)
    for share, p in zip(
        shares, (0.25 * (1 - above), 0.75 * (1 - above) + 0.25 * above, 0.75 * above), strict=True
    ):
        assert abs(share - p) < critical() * np.sqrt(p * (1 - p) / len(data["o"]))


def test_a_stationary_process(data):
    series = data["s"].reshape(4000, 30)
    for occasion in (0, 14, 29):  # the clusters are independent
        check_moments(series[:, occasion], 0.0, 1 / 0.64)
    check_correlation(series[:, 20], series[:, 21], 0.6)
    check_moments((series[:, 1:] - 0.6 * series[:, :-1]).ravel(), 0.0, 1.0)


def test_values_missing_at_random_as_said(data):
    # phi is symmetric about 1/2, and n about 2
    missing = np.isnan(data["m"])
    assert abs(missing.mean() - 0.5) < critical() * np.sqrt(0.25 / len(missing))
    assert (data["m"][~missing] == data["n"][~missing]).all()
