"""Draws against their distribution functions."""

import math

import numpy as np
import pytest
from rates import ALPHA, critical
from scipy import stats
from toys import generator

from mlbayes.engine.random import (
    interval_normal,
    inverse_gamma,
    inverse_gaussian,
    inverse_wishart_factor,
    normal_cdf,
    positive_normal,
)
from mlbayes.engine.steps.responses import interval_logistic

N = 20_000
INF = math.inf


def fits(draws, law) -> bool:
    return stats.kstest(draws, law.cdf).pvalue > ALPHA


@pytest.mark.parametrize("mean", [-30.0, -6.0, -2.0, -0.6, -0.5, -0.4, 0.0, 1.0, 8.0])
def test_positive_normal(mean):
    rng = generator(1)
    draws = np.array([positive_normal(rng, mean) for _ in range(N)])
    assert (draws > 0.0).all()
    # the distribution function by the upper tail, which keeps its digits far below the mean
    tail = stats.norm.logsf(draws - mean) - stats.norm.logsf(-mean)
    assert stats.kstest(1.0 - np.exp(tail), "uniform").pvalue > ALPHA


INTERVALS = [
    (0.0, 1.0, -INF, INF),
    (1.0, 2.0, 0.5, INF),
    (1.0, 2.0, -INF, 0.5),
    (0.0, 1.0, 4.0, INF),
    (0.0, 1.0, -INF, -4.0),
    (0.0, 1.0, -3.0, 2.0),  # wide, around the mean
    (0.0, 1.0, -0.2, 0.3),  # narrow, around the mean
    (0.0, 1.0, 2.0, 2.1),  # narrow, beside the mean
    (0.0, 1.0, -2.1, -2.0),
    (0.0, 1.0, 0.5, 9.0),  # wide, beside the mean
    (0.0, 1.0, -9.0, -0.5),
    (3.0, 0.5, 3.0, 3.7),
    (3.0, 0.5, 0.0, 1.0),
    (5.0, 2.0, 4.0, 8.0),
]


@pytest.mark.parametrize(("mean", "sd", "lower", "upper"), INTERVALS)
def test_interval_normal(mean, sd, lower, upper):
    rng = generator(2)
    draws = np.array([interval_normal(rng, mean, sd, lower, upper) for _ in range(N)])
    assert ((draws > lower) & (draws < upper)).all()
    law = stats.truncnorm((lower - mean) / sd, (upper - mean) / sd, loc=mean, scale=sd)
    assert fits(draws, law)


@pytest.mark.parametrize(("shape", "scale"), [(0.5, 1.0), (1.0, 0.5), (3.0, 2.0), (60.0, 11.0)])
def test_inverse_gamma(shape, scale):
    rng = generator(3)
    draws = [inverse_gamma(rng, shape, scale) for _ in range(N)]
    assert fits(draws, stats.invgamma(shape, scale=scale))


@pytest.mark.parametrize(("mean", "shape"), [(1.0, 3.0), (5.0, 0.2), (1e-3, 1.0), (INF, 2.0)])
def test_inverse_gaussian(mean, shape):
    rng = generator(5)
    draws = [inverse_gaussian(rng, 1.0 / mean, shape) for _ in range(N)]
    law = stats.levy(scale=shape) if mean == INF else stats.invgauss(mean / shape, scale=shape)
    assert fits(draws, law)


def wishart_draws(df, scale, count=N):
    n = len(scale)
    rng = generator(4)
    result, factor, scratch = np.empty((count, n, n)), np.zeros((n, n)), np.zeros((3, n, n))
    for k in range(count):
        assert inverse_wishart_factor(rng, df, scale, factor, n, scratch)
        lower = np.tril(factor)
        assert (np.diag(lower) > 0.0).all()
        result[k] = lower @ lower.T
    return result


@pytest.mark.parametrize(("n", "df"), [(1, 3.0), (2, 9.5), (3, 14.0), (4, 20.0)])
def test_inverse_wishart(n, df):
    a = np.random.default_rng(n).normal(size=(n, n + 2))
    scale = a @ a.T + np.eye(n)
    draws = wishart_draws(df, scale)
    for i in range(n):  # a diagonal element is IG((df - p + 1) / 2, scale_ii / 2)
        assert fits(draws[:, i, i], stats.invgamma(0.5 * (df - n + 1), scale=0.5 * scale[i, i]))
    inverse = np.linalg.inv(draws)
    for i in range(n):  # the inverse is Wishart, its diagonal gamma
        assert fits(inverse[:, i, i], stats.gamma(0.5 * df, scale=2.0 * np.linalg.inv(scale)[i, i]))
    error = draws.std(axis=0) / math.sqrt(N)
    assert (abs(draws.mean(axis=0) - scale / (df - n - 1)) < critical() * error).all()

    if n == 2:
        rho = wishart_draws(3.0, np.eye(2), 5000)
        r = rho[:, 0, 1] / np.sqrt(rho[:, 0, 0] * rho[:, 1, 1])
        assert fits(r, stats.uniform(-1.0, 2.0))  # IW(p + 1, I): a correlation is uniform


def test_inverse_wishart_refuses_a_scale_that_is_not_positive_definite():
    scale = np.array([[1.0, 2.0], [2.0, 1.0]])
    assert not inverse_wishart_factor(generator(1), 5.0, scale, np.zeros((2, 2)), 2, np.zeros((3, 2, 2)))


def test_normal_cdf():
    x = np.linspace(-36.0, 36.0, 301)
    np.testing.assert_allclose([normal_cdf(v) for v in x], stats.norm.cdf(x), rtol=1e-12)


@pytest.mark.parametrize("mean", [-3.0, 0.5])
def test_plain_draws_are_the_same(mean):
    """Compiled and plain functions use the generator alike."""
    a, b = generator(9), generator(9)
    for _ in range(50):
        assert positive_normal(a, mean) == pytest.approx(positive_normal.py_func(b, mean), rel=1e-14)
        assert inverse_gamma(a, 2.5, 1.0) == inverse_gamma.py_func(b, 2.5, 1.0)
        one = interval_normal(a, 0.0, 1.0, -0.1, 2.0)
        assert one == pytest.approx(interval_normal.py_func(b, 0.0, 1.0, -0.1, 2.0), rel=1e-14)


# ------------------------------------------------------------------ every draw ends
HUGE = (0.0, 1.0, 30.0, 1e5, 1e9, 1e17, 1e160, 1e300, math.inf)


@pytest.mark.parametrize("size", HUGE)
def test_half_lines_end_everywhere(size):
    rng = generator(8)
    for mean in (size, -size):
        x = positive_normal(rng, mean)
        assert x >= 0.0 and not math.isnan(x)
        if mean < -1.0:
            assert x <= 40.0 / -mean, "of the order of one over the distance"


@pytest.mark.parametrize("size", HUGE[:-1])
@pytest.mark.parametrize("width", [0.0, 1e-12, 1.0, 1e200])
def test_intervals_end_everywhere(size, width):
    rng = generator(9)
    for lower in (size, -size - width):
        upper = lower + width
        slack = 1e-12 * (abs(lower) + width)
        for sd in (1.0, 1e-100, 1e100):
            if size < 1e200 or sd >= 1.0:  # else the standardised bounds are not numbers
                x = interval_normal(rng, 0.0, sd, lower, upper)
                assert lower - slack <= x <= upper + slack


def test_no_draw_without_numbers():
    rng = generator(10)
    assert math.isnan(positive_normal(rng, math.nan))
    for broken in range(4):
        arguments = [0.0, 1.0, -1.0, 2.0]
        arguments[broken] = math.nan
        assert math.isnan(interval_normal(rng, *arguments))


@pytest.mark.parametrize("centre", [-1e6, -2000.0, -20.0, 0.0, 20.0, 2000.0, 1e6])
def test_logistic_intervals_hold_their_draws(centre):
    rng = generator(11)
    for lower, upper in ((centre - 1.0, centre + 1.0), (-math.inf, centre), (centre, math.inf)):
        draws = np.array([interval_logistic(rng, lower, upper) for _ in range(50)])
        slack = 1e-12 * abs(centre)
        assert (draws >= lower - slack).all() and (draws <= upper + slack).all()


@pytest.mark.parametrize(
    ("lower", "upper"), [(-1.0, 2.5), (3.0, 5.0), (-40.0, -36.0), (1.0, math.inf), (-math.inf, 4.0)]
)
def test_logistic_intervals_have_the_right_distribution(lower, upper):
    rng = generator(12)
    draws = np.array([interval_logistic(rng, lower, upper) for _ in range(N)])
    sign = -1.0 if lower + upper > 0.0 else 1.0  # probabilities of the nearer tail
    low, high = sorted((sign * lower, sign * upper))
    total = stats.logistic.cdf(high) - stats.logistic.cdf(low)
    shares = (stats.logistic.cdf(sign * draws) - stats.logistic.cdf(low)) / total
    assert stats.kstest(shares, "uniform").pvalue > ALPHA
