import math

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy.special import ndtri

from mlbayes.results import diagnostics
from mlbayes.results.normal import normal_quantile
from mlbayes.results.rhat import checkpoint_windows, rhat, rhat_table


def autoregression(seed, chains, draws, phi):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((chains, draws))
    for i in range(1, draws):
        noise[:, i] += phi * noise[:, i - 1]
    return noise


CASES = {
    "independent": autoregression(1, 4, 2500, 0.0),
    "slow": autoregression(2, 4, 1000, 0.95),
    "stuck": autoregression(3, 4, 400, 0.999),
    "antithetic": autoregression(4, 4, 500, -0.7),
    "odd length": autoregression(5, 3, 331, 0.3),
    "two chains": autoregression(6, 2, 50, 0.5),
    "short": autoregression(7, 4, 5, 0.0),
    "shortest": autoregression(8, 4, 4, 0.0),
    "shifted": autoregression(9, 4, 200, 0.2) + np.arange(4)[:, None],
    "ties": np.round(autoregression(10, 4, 300, 0.5)),
    "binary": (autoregression(11, 4, 300, 0.5) > 0).astype(float),
    "tails": np.tan(autoregression(12, 4, 300, 0.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_rhat_equals_arviz(name):
    expected = array_stats.rhat(CASES[name], method="rank")
    assert rhat(CASES[name]) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_effective_size_equals_arviz(name):
    expected = array_stats.ess(CASES[name], method="mean")
    assert diagnostics.effective_size(CASES[name]) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("name", ["independent", "slow", "odd length", "shifted"])
def test_error_of_the_median_is_close_to_that_with_beta_quantiles(name):
    expected = array_stats.mcse(CASES[name], method="median")
    assert diagnostics.mcse_median(CASES[name]) == pytest.approx(expected, rel=0.05)


def test_one_chain_has_an_effective_size_but_no_rhat():
    draws = autoregression(13, 1, 500, 0.4)
    assert diagnostics.effective_size(draws) == pytest.approx(array_stats.ess(draws, method="mean"), rel=1e-8)
    assert math.isnan(rhat(draws))


@pytest.mark.parametrize("fill", [0.0, 1.0, np.nan, np.inf])
def test_constants_and_non_finite_draws_have_no_diagnostics(fill):
    draws = np.full((4, 100), fill)
    assert math.isnan(rhat(draws))
    assert math.isnan(diagnostics.effective_size(draws))
    assert math.isnan(diagnostics.mcse_median(draws))


def test_a_single_nan_makes_all_diagnostics_nan():
    draws = autoregression(14, 4, 100, 0.0)
    draws[2, 50] = np.nan
    assert math.isnan(rhat(draws))
    assert math.isnan(diagnostics.effective_size(draws))


def test_too_few_draws_have_no_diagnostics():
    assert math.isnan(rhat(autoregression(15, 4, 3, 0.0)))
    assert math.isnan(diagnostics.effective_size(autoregression(15, 4, 3, 0.0)))


def test_burn_in_table_is_rhat_of_the_second_half_up_to_each_checkpoint():
    burn = 1000
    rows = [autoregression(seed, 4, burn + 100, 0.6) for seed in range(5)] + [np.ones((4, burn))]
    table = rhat_table(rows, burn)
    assert table.shape == (6, 20)
    for row, got in zip(rows[:5], table[:5], strict=True):
        for k, value in enumerate(got, start=1):
            end = k * burn // 20
            assert value == pytest.approx(array_stats.rhat(row[:, end // 2 : end], method="rank"), rel=1e-8)
    assert np.isnan(table[5]).all()


def test_checkpoints_of_a_burn_in_of_10000():
    windows = checkpoint_windows(10000)
    assert windows[0] == (250, 500)
    assert windows[1] == (500, 1000)
    assert windows[19] == (5000, 10000)


def test_normal_quantile_equals_scipy():
    p = np.concatenate((np.linspace(1e-6, 1 - 1e-6, 20001), 10.0 ** -np.arange(1, 300)))
    got = np.array([normal_quantile(value) for value in p])
    np.testing.assert_allclose(got, ndtri(p), rtol=1e-14, atol=1e-15)
    assert normal_quantile(0.0) == -np.inf
    assert normal_quantile(1.0) == np.inf
    assert math.isnan(normal_quantile(-0.1))
