"""Single-level models with latent variables find the parameters that their data were made with.

All true values of a model are held against the posterior at once: with d the posterior means less the truth and S
the posterior covariance matrix, d' S^-1 d has nearly a chi-square distribution (Bernstein-von Mises; variances
enter by their logarithms).  One test for each model, false-alarm rate ALPHA of `rates`.  That the posterior
standard deviations are small, so that the test says something, is tested as well.
"""

from __future__ import annotations

import numpy as np
import pytest
from latent_models import CASES, Fit, data_of, fit
from rates import ALPHA
from scipy import stats

# Bounds on the posterior SDs of parameters (logarithms of variances); the largest are 15 to 20 % below.
WIDEST = {
    "two factors": 0.12,
    "latent regression": 0.1,
    "growth with equal residual variances": 0.08,
    "latent by manifest": 0.1,
    "latent by latent": 0.07,
    "cross-lagged panel with random intercepts": 0.125,
}
# Smallest N_Eff of all rows per 10,000 draws.
MIXING = dict.fromkeys(CASES, 500.0) | {"two factors": 2000.0}


def compared(found: Fit, truth: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Draws (parameters, draws) and true values, variances as logarithms."""
    draws, true = [], []
    for name, value in truth.items():
        variance = name.endswith(" residual") or name in ("v", "s", "t", "v3", "u3")
        values = found.parameters[name].ravel()
        draws.append(np.log(values) if variance else values)
        true.append(np.log(value) if variance else value)
    return np.array(draws), np.array(true)


def check(name: str, found: Fit) -> None:
    draws, true = compared(found, CASES[name].truth)
    difference = draws.mean(axis=1) - true
    covariance = np.cov(draws)
    sd = np.sqrt(np.diag(covariance))
    single = dict(zip(CASES[name].truth, np.round(difference / sd, 1), strict=True))
    assert sd.max() < WIDEST[name], dict(zip(CASES[name].truth, sd.round(3), strict=True))
    distance = float(difference @ np.linalg.solve(covariance, difference))
    assert stats.chi2.sf(distance, true.size) > ALPHA, single


@pytest.mark.parametrize("name", CASES)
def test_recovery(name):
    check(name, fit(CASES[name].script, data_of(name), burn=500, draws=1200, chains=2))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_recovery_and_effective_sizes(name):
    found = fit(CASES[name].script, data_of(name), burn=1000, draws=10_000, chains=2)
    check(name, found)
    size, row = found.smallest()
    assert size >= MIXING[name], (round(size), row)
