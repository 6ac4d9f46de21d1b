"""Draws of scale mixtures against transforms and densities, special functions against scipy."""

import math

import numpy as np
import pytest
from rates import ALPHA, critical
from scipy import integrate, special, stats
from toys import generator

from mlbayes.engine.augmentation import (
    digamma,
    gamma_terms,
    inverse_mills,
    log1p_exp,
    log_gamma,
    log_gamma_ratio,
    log_logistic_density,
    log_logistic_interval,
    log_negative_binomial,
    log_normal_interval,
    logistic_cdf,
    logistic_scale,
    polya_gamma,
    polya_gamma_moments,
    polya_gamma_one,
    scaled_erfc,
    trigamma,
)

N = 20_000
INF = math.inf


def log_transform(t, b, z):
    """log E exp(-t X), X ~ PG(b, z), for complex t: b log(cosh(z/2) / cosh(sqrt(z^2/4 + t/2)))."""

    def log_cosh(s):
        return s + np.log1p(np.exp(-2.0 * s)) - math.log(2.0)

    return b * (log_cosh(0.5 * abs(z)) - log_cosh(np.sqrt(0.25 * z * z + 0.5 * t)))


def polya_gamma_cdf(x, b, z, log_transform=log_transform):
    """Its Laplace transform inverted by the Euler algorithm (Abate & Whitt 2006, INFORMS J. Computing 18, 408-421)."""
    m = 15
    k = np.arange(2 * m + 1)
    beta = m * math.log(10.0) / 3.0 + 1j * math.pi * k
    xi = np.ones(2 * m + 1)
    xi[0] = 0.5
    xi[m + 1 :] = [0.5**m * sum(math.comb(m, i) for i in range(j, m + 1)) for j in range(1, m + 1)]
    t = beta / np.asarray(x)[:, None]
    terms = (-1.0) ** k * xi * (np.exp(log_transform(t, b, z)) / t).real
    return 10.0 ** (m / 3.0) / x * terms.sum(axis=1)


def test_the_inversion():
    """4 PG(1, 0) is the time at which a Brownian motion leaves (-1, 1)."""
    x = np.array([0.05, 0.2, 0.6, 1.5])
    k = np.arange(200.0)
    beyond = [
        4 / math.pi * np.sum((-1) ** k / (2 * k + 1) * np.exp(-0.5 * math.pi**2 * (2 * k + 1) ** 2 * v))
        for v in x
    ]
    np.testing.assert_allclose(polya_gamma_cdf(x, 1.0, 0.0), 1.0 - np.array(beyond), atol=1e-6)


@pytest.mark.parametrize("z", [0.0, -0.7, 3.0, 3.3, 1000.0])  # 3.125 is where proposals change
def test_polya_gamma_one(z):
    rng = generator(1)
    draws = np.array([polya_gamma_one(rng, z) for _ in range(N)])
    assert stats.kstest(draws, lambda x: polya_gamma_cdf(x, 1.0, z)).pvalue > ALPHA


CASES = [
    (2.0, -0.4),  # sums of PG(1, z)
    (1.05, 0.0),  # series of gamma variables
    (3.0, 0.1),
    (4.5, 1.5),
    (100.0, 4.5),
    (1e9, 20.5),  # no gamma variable at all
    (0.05, 0.0),  # inverse Gaussian proposals
    (2.5, -1.5),
    (20.0, 3.5),
    (1.3, 900.0),
]


@pytest.mark.parametrize(("b", "z"), CASES)
def test_polya_gamma(b, z):
    rng = generator(2)
    draws = np.array([polya_gamma(rng, b, z) for _ in range(N)])
    mean, variance = (b * moment for moment in polya_gamma_moments(z))
    if variance < 1e-6 * mean * mean:  # close to normal, and the inversion has no digits left
        assert stats.kstest((draws - mean) / math.sqrt(variance), "norm").pvalue > ALPHA
    else:
        assert stats.kstest(draws, lambda x: polya_gamma_cdf(x, b, z)).pvalue > ALPHA
    t = 1.0 / mean
    values = np.exp(-t * draws)
    expected = math.exp(log_transform(t, b, z))
    assert abs(values.mean() - expected) < critical() * values.std() / math.sqrt(N)


def series_sums(z, start=0):
    """Sums of the first three powers of the coefficients d_k of the series, from k = start + 1 on."""
    last = 100_000
    c = z / (2.0 * math.pi)
    d = 0.5 / math.pi**2 / ((np.arange(start, last) + 0.5) ** 2 + c * c)
    beyond = 0.5 / math.pi**2 * (math.atan(c / last) / c if c > 0.0 else 1.0 / last)  # midpoint rule
    return d.sum() + beyond, (d**2).sum() + (0.5 / math.pi**2) ** 2 / (3.0 * last**3), (d**3).sum()


@pytest.mark.parametrize("z", [0.0, 1e-200, 1e-5, 0.0999, 0.1, 0.5, 2.0, 9.0, 40.0, 300.0])
def test_polya_gamma_moments(z):
    mean, variance, _ = series_sums(z)
    assert polya_gamma_moments(z) == pytest.approx((mean, variance), rel=1e-11, abs=0.0)
    assert polya_gamma_moments(-z) == polya_gamma_moments(z)


def test_both_forms_of_the_moments_agree():
    """Their power series at z = 0.1, where the forms change."""
    w = 0.01
    for z in (0.1, 0.1 - 1e-12):
        mean, variance = polya_gamma_moments(z)
        assert mean == pytest.approx(
            1 / 4 - w / 48 + w**2 / 480 - 17 * w**3 / 80640 + 31 * w**4 / 1451520, rel=1e-12, abs=0.0
        )
        terms = (1 / 24, -w / 120, 17 * w**2 / 13440, -31 * w**3 / 181440, 691 * w**4 / 31933440)
        assert variance == pytest.approx(sum(terms), rel=1e-12, abs=0.0)


def test_third_cumulant_keeps_to_its_bound():
    grid = np.linspace(0.0, 24.0, 97)
    steps = [z for z in np.linspace(0.0, 24.0, 24_001) if gamma_terms(z) != gamma_terms(z + 0.001)]
    assert len(steps) > 20  # the bound is closest where a term is about to be added
    for z in [*grid, *steps]:
        first, second, third = series_sums(z, gamma_terms(z))
        assert abs(2.0 * third - 3.0 * second**2 / first) / (2.0 * series_sums(z)[2]) < 1e-6


def series_transform(t, b, z):
    """log E exp(-t X) of what stands for PG(b, z): gamma variables and an inverse Gaussian remainder."""
    count = gamma_terms(z)
    first, second, _ = series_sums(z, count)
    d = 0.5 / math.pi**2 / ((np.arange(count) + 0.5) ** 2 + (0.5 * z / math.pi) ** 2)
    ratio = first * first / second
    return -b * sum(np.log1p(t * v) for v in d) + b * ratio * (1.0 - np.sqrt(1.0 + 2.0 * t * first / ratio))


@pytest.mark.parametrize(
    ("b", "z"), [(1.001, 0.0), (1.5, 0.2), (3.0, 0.0), (5.5, 1.5), (20.0, 2.0), (100.0, 4.0)]
)
def test_the_series_has_the_right_distribution(b, z):
    x = b * polya_gamma_moments(z)[0] * np.geomspace(0.02, 6.0, 600)
    error = polya_gamma_cdf(x, b, z, series_transform) - polya_gamma_cdf(x, b, z)
    assert abs(error).max() < (1e-5 if b < 3.0 else 2e-7)


@pytest.mark.parametrize("z", [0.0, 1e-300, 1e-9, -1e3, 1e6, 1e100])
def test_polya_gamma_ends_everywhere(z):
    rng = generator(3)
    for _ in range(200):
        assert 0.0 < polya_gamma_one(rng, z) < INF
        for b in (1e-3, 1.0, 7.3, 1e6):
            assert 0.0 < polya_gamma(rng, b, z) < INF


def test_no_draw_without_finite_parameters():
    rng = generator(4)
    for bad in (math.nan, INF, -INF):
        assert math.isnan(polya_gamma_one(rng, bad))
        assert math.isnan(polya_gamma(rng, 1.5, bad))
        assert math.isnan(polya_gamma(rng, bad, 1.0))
        assert math.isnan(logistic_scale(rng, bad))
    assert math.isnan(polya_gamma(rng, 0.0, 1.0))
    assert math.isnan(polya_gamma(rng, -1.0, 1.0))


def test_logistic_mixture():
    """A logistic variable and its scale make a normal variable and, independent of it, one of Kolmogorov's."""
    rng = generator(5)
    r = rng.logistic(size=N)
    scale = np.array([logistic_scale(rng, value) for value in r])
    normal, root = r / np.sqrt(scale), 0.5 * np.sqrt(scale)
    assert stats.kstest(normal, "norm").pvalue > ALPHA
    assert stats.kstest(root, "kstwobign").pvalue > ALPHA
    assert stats.spearmanr(abs(normal), root).pvalue > ALPHA


@pytest.mark.parametrize("r", [0.0, 1e-9, -0.8, 40.0])
def test_logistic_scale_given_the_residual(r):
    rng = generator(6)
    draws = np.array([logistic_scale(rng, r) for _ in range(10 * N)])
    grid = np.geomspace(0.05, 300.0, 20_001)
    n = np.arange(1.0, 60.0)[:, None]
    mixing = ((-1.0) ** (n + 1) * n**2 * np.exp(-0.5 * n**2 * grid + 0.5 * grid)).sum(axis=0)
    density = mixing * np.exp(abs(r) - 0.5 * grid - 0.5 * r * r / grid) / np.sqrt(grid)
    cdf = integrate.cumulative_simpson(density, x=grid, initial=0.0)
    assert stats.kstest(draws, lambda x: np.interp(x, grid, cdf / cdf[-1])).pvalue > ALPHA


@pytest.mark.parametrize("r", [0.0, 1e-300, -1e-9, 700.0, 1e9, 1e150])
def test_logistic_scale_ends_everywhere(r):
    rng = generator(7)
    draws = np.array([logistic_scale(rng, r) for _ in range(500)])
    assert ((draws > 0.0) & (draws < INF)).all()


def test_plain_draws_are_the_same():
    """Compiled and plain functions use the generator alike."""
    a, b = generator(9), generator(9)
    for z in np.linspace(0.0, 6.0, 40):
        assert polya_gamma_one(a, z) == pytest.approx(polya_gamma_one.py_func(b, z), rel=1e-13)
        assert polya_gamma(a, 1.7, z) == pytest.approx(polya_gamma.py_func(b, 1.7, z), rel=1e-13)
        assert logistic_scale(a, z) == pytest.approx(logistic_scale.py_func(b, z), rel=1e-13)


def values(function, x):
    return [function(v) for v in x]


def test_logistic_functions():
    x = np.concatenate([np.linspace(-700.0, 700.0, 301), np.linspace(-3.0, 3.0, 61), [-1e4, 1e4]])
    np.testing.assert_allclose(values(logistic_cdf, x), special.expit(x), rtol=1e-14)
    np.testing.assert_allclose(values(log1p_exp, x), np.logaddexp(0.0, x), rtol=1e-14)


def test_gamma_functions():
    x = np.concatenate([np.geomspace(1e-8, 1e8, 400), np.linspace(0.1, 12.0, 120)])
    np.testing.assert_allclose(values(log_gamma, x), special.gammaln(x), rtol=1e-12, atol=1e-15)
    root = 1.4616321449683623
    away = x[abs(x - root) > 0.01]
    near = root + np.linspace(-0.01, 0.01, 21)
    np.testing.assert_allclose(values(digamma, away), special.psi(away), rtol=1e-12)
    np.testing.assert_allclose(values(digamma, near), special.psi(near), rtol=0.0, atol=1e-14)
    np.testing.assert_allclose(values(trigamma, x), special.polygamma(1, x), rtol=1e-12)
    for bad in (0.0, -1.5, math.nan):
        assert math.isnan(digamma(bad))
        assert math.isnan(trigamma(bad))


@pytest.mark.parametrize("n", [0.0, 1.0, 7.0, 1e6])
def test_ratios_of_gamma_functions(n):
    """By sums of logarithms, which lose nothing, where n is small; by log Gamma where that loses little."""
    for x in (1e-6, 0.3, 20.0, 999.0, 1001.0, 1e5, 1e9, 1e15):
        if n < 10.0:
            assert log_gamma_ratio(x, n) == pytest.approx(
                sum(math.log(x + k) for k in range(int(n))), rel=1e-12, abs=1e-11
            )
        elif x < 1e6:
            assert log_gamma_ratio(x, n) == pytest.approx(math.lgamma(x + n) - math.lgamma(x), rel=1e-12)


@pytest.mark.parametrize("y", [0.0, 1.0, 30.0, 1e6])
def test_negative_binomial_probabilities(y):
    for mu in (1e-4, 0.5, 40.0, 1e6):
        for size in (0.1, 2.0, 500.0):
            wanted = stats.nbinom.logpmf(y, size, size / (size + mu))
            assert log_negative_binomial(y, math.log(mu / size), size) == pytest.approx(
                wanted, rel=1e-9, abs=1e-9
            )
        limit = stats.poisson.logpmf(
            y, mu
        )  # as the size grows; the first term of what is left out is 1 / size
        left_out = 1e-13 * ((y - mu) ** 2 + y + 1.0)
        assert abs(
            log_negative_binomial(y, math.log(mu) - math.log(1e13), 1e13) - limit
        ) < left_out + 1e-9 * abs(limit)
    assert log_negative_binomial(y, 1e5, 2.0) < -1e5, "a mean beyond all counts is not likely"
    assert math.isfinite(log_negative_binomial(y, -1e5, 2.0))


def test_logistic_intervals():
    for lower, upper in ((-1.0, 2.0), (-30.0, -29.0), (29.0, 30.0), (0.0, 1e-9), (-INF, 3.0), (3.0, INF)):
        signed = (-upper, -lower) if lower + upper > 0.0 else (lower, upper)
        share = special.expit(signed[1]) - special.expit(signed[0])
        assert log_logistic_interval(lower, upper) == pytest.approx(math.log(share), rel=1e-6)
    assert log_logistic_interval(-INF, INF) == 0.0
    assert log_logistic_interval(800.0, 801.0) == pytest.approx(-800.0 + math.log(-math.expm1(-1.0)))
    assert log_logistic_interval(-801.0, -800.0) == pytest.approx(-800.0 + math.log(-math.expm1(-1.0)))
    assert log_logistic_interval(2.0, 2.0) == -INF
    for x in (-800.0, -2.0, 0.0, 5.0, 800.0):
        assert log_logistic_density(x) == pytest.approx(stats.logistic.logpdf(x), rel=1e-12)


def test_scaled_erfc():
    x = np.concatenate([np.linspace(0.0, 30.0, 301), np.geomspace(10.0, 1e12, 50)])
    np.testing.assert_allclose(values(scaled_erfc, x), special.erfcx(x), rtol=1e-13)


def test_tails_of_the_normal_distribution():
    x = np.concatenate([np.linspace(-40.0, 37.0, 300), -np.geomspace(1e-9, 1e8, 60), [0.0]])
    exact = special.log_ndtr(x)
    np.testing.assert_allclose([log_normal_interval(-INF, v) for v in x], exact, rtol=1e-12)
    np.testing.assert_allclose([log_normal_interval(-v, INF) for v in x], exact, rtol=1e-12)
    mean = math.sqrt(2.0 / math.pi) / special.erfcx(-x * math.sqrt(0.5))
    np.testing.assert_allclose([inverse_mills(-v, INF) for v in x], mean, rtol=1e-12)
    np.testing.assert_allclose([inverse_mills(-INF, v) for v in x], -mean, rtol=1e-12)


WIDTHS = [1e-12, 1e-6, 1e-3, 0.02, 0.1, 0.3, 0.5, 0.7, 1.0, 2.0, 8.0, 60.0]


STARTS = [-50.0, -6.0, -1.0, -0.3, -1e-4, 0.0, 0.2, 1.0, 4.0, 12.0, 35.0, 1000.0]


@pytest.mark.parametrize(("a", "width"), [(a, w) for a in STARTS for w in WIDTHS if a + w > 0.0])
def test_normal_intervals(a, width):
    """Against quadrature in 200 panels, with the largest value of the density taken out."""
    b = a + width
    peak = max(a, 0.0)
    reach = b - a if a < 0.0 else min(b - a, 40.0 / max(1.0, a))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    y = reach / 200.0 * (np.arange(200)[:, None] + 0.5 + 0.5 * nodes)
    density = 0.5 * reach / 200.0 * weights * np.exp(0.5 * (peak - a - y) * (peak + a + y))
    mass = density.sum()
    expected = math.log(mass) - 0.5 * peak * peak - 0.5 * math.log(2.0 * math.pi)
    mean = a + (y * density).sum() / mass
    rounding = 1e-14 * max(1.0, -a)  # of this quadrature, where the logarithm or the mean is close to 0
    for sign, low, high in ((1.0, a, b), (-1.0, -b, -a)):
        assert log_normal_interval(low, high) == pytest.approx(expected, rel=1e-10, abs=rounding)
        assert inverse_mills(low, high) == pytest.approx(sign * mean, rel=1e-10, abs=rounding)
        assert low <= inverse_mills(low, high) <= high


def test_edges_of_normal_intervals():
    assert log_normal_interval(-INF, INF) == 0.0
    assert log_normal_interval(1.0, 1.0) == -INF
    assert log_normal_interval(2.0, 1.0) == -INF
    assert math.isnan(log_normal_interval(math.nan, 1.0))
    assert inverse_mills(-INF, INF) == 0.0
    assert inverse_mills(-2.0, 2.0) == 0.0
    # close to 1 the logarithm keeps its digits
    assert log_normal_interval(-9.0, 10.0) == pytest.approx(
        -special.ndtr(-9.0) - special.ndtr(-10.0), rel=1e-12
    )
