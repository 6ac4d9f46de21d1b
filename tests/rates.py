"""How often a random test may fail although nothing is wrong.

Seeds are fixed, so a passing test keeps passing; the rate says how likely a sound change of the random stream is
to break one.  Every comparison of draws with a law uses ALPHA, two-sided.  The suite makes fewer than MOST of
them (about 200 distribution tests in kernels/ and plans/, 166 quantities in the Geweke tests, 74 means and 60
comparisons of latent models in statistics/, two tests of 58 quantities in the slow calibration, 304 moments of
categorical, count and skewed outcomes, 124 of them in long runs, 91 of models with missing categories, 37 moments
of SIMULATE, 40 of heterogeneous variances, 30 of lags, 56 of imputations, 150 of equivalent posteriors, 33 of
calibrations and blocks, 14 of expected codes, 2 of saved responses), so that it fails for nothing with probability
below MOST * ALPHA = 9.8e-5.
"""

from scipy import stats

ALPHA = 7.1e-8
MOST = 1377


def critical(freedom: int | None = None) -> float:
    """Largest absolute z (or t with so many degrees of freedom) that passes."""
    return float(stats.norm.isf(0.5 * ALPHA) if freedom is None else stats.t.isf(0.5 * ALPHA, freedom))
