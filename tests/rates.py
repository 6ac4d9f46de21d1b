"""How often a random test may fail although nothing is wrong.

Seeds are fixed, so a passing test keeps passing; the rate says how likely a sound change of the random stream is
to break one.  Every comparison of draws with a law uses ALPHA (two-sided); there are fewer than 100 of them in
the fast part (`test_rates.py` counts), so that the whole suite stays below 1e-4.
"""

from scipy import stats

ALPHA = 5e-7
MOST = 200


def critical(freedom: int | None = None) -> float:
    """Largest absolute z (or t with so many degrees of freedom) that passes."""
    return float(stats.norm.isf(0.5 * ALPHA) if freedom is None else stats.t.isf(0.5 * ALPHA, freedom))
