"""Model fit: DIC2, WAIC and Wald tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.model import Model, WaldTest
from mlbayes.results.document import Fit, Wald
from mlbayes.results.draws import Draws, UnitLikelihood
from mlbayes.results.parameters import Parameters
from mlbayes.results.rows import after_burn_in, finite
from mlbayes.results.summary import chi_square_tail

Array = NDArray[np.float64]


def dic(units: UnitLikelihood) -> float:
    """DIC2: -2 (lppd - 2 sum of (log mean exp - mean)), sums over independent units."""
    predictive = float(np.sum(units.log_mean_exp))
    return -2.0 * (predictive - 2.0 * (predictive - float(np.sum(units.mean))))


def waic(units: UnitLikelihood) -> float:
    """WAIC: -2 (lppd - sum of variances), over independent units (Watanabe 2010)."""
    return -2.0 * float(np.sum(units.log_mean_exp) - np.sum(units.variance))


def wald(test: WaldTest, parameters: Parameters, burn: int) -> Wald:
    """A Wald test from posterior means and covariances of the constrained quantities.

    What is said twice counts once; nan where constraints do not vary or contradict each other.
    """
    columns = []
    for weights, value in test.constraints:
        total = sum((weight * parameters.find(name) for name, weight in weights.items()), np.zeros((1, 1)))
        columns.append(after_burn_in(total, burn) - value)
    sample = np.array([column.ravel() for column in np.broadcast_arrays(*columns)])
    means = sample.mean(axis=1)
    covariance = np.atleast_2d(np.cov(sample)) if sample.shape[1] > 1 else np.zeros((len(means), len(means)))
    statistic, df = wald_statistic(means, covariance)
    full = [line for line in test.full.split("\n") if line]
    restricted = [line for line in test.restricted.split("\n") if line]
    return Wald(full, restricted, list(test.printed), statistic, df, chi_square_tail(statistic, df))


def wald_statistic(means: Array, covariance: Array) -> tuple[float, int]:
    """The statistic and its degrees of freedom: the rank of the covariance matrix.

    nan where means differ from 0 in a direction in which nothing varies.
    """
    df = len(means)
    rank = int(np.linalg.matrix_rank(covariance, hermitian=True))
    if rank == df:
        return float(means @ np.linalg.solve(covariance, means)), df
    inverse = np.linalg.pinv(covariance, rcond=df * np.finfo(float).eps, hermitian=True)
    rest = means - covariance @ inverse @ means
    if rank == 0 or np.abs(rest).max() > 1e-8 * np.abs(means).max():
        return float("nan"), df
    return float(means @ inverse @ means), rank


def build_fit(model: Model, draws: Draws, parameters: Parameters) -> Fit:
    """Information criteria and Wald tests of a run."""
    tests = model.wald_tests if draws.kept else ()
    fit = Fit(wald=[wald(test, parameters, draws.burn) for test in tests])
    conditional, marginal = draws.monitors.conditional, draws.monitors.marginal
    if conditional.mean.size and model.equations:  # predictor models have no likelihood in common
        fit.conditional_dic, fit.conditional_waic = finite(dic(conditional)), finite(waic(conditional))
    if marginal is not None and marginal.mean.size:
        fit.marginal_dic, fit.marginal_waic = finite(dic(marginal)), finite(waic(marginal))
    return fit
