"""Are ranks uniform: an exact test of all order statistics at once, and the family-wise verdict.

The statistic of n values in (0, 1) is the smallest two-sided tail probability of any order statistic, which is
Beta(i, n + 1 - i) if values are uniform (Saeilynoja, Buerkner & Vehtari 2022, Statistics and Computing 32, 32;
Aldor-Noiman et al. 2013, The American Statistician 67, 249-260).  Its p-value is exact: the probability that no order
statistic leaves the band of that level, by a recursion over the ends of the band.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Vector = NDArray[np.float64]
CLASSES = 10  # of a histogram


@dataclass(frozen=True)
class Uniformity:
    """How uniform the ranks of a quantity are.

    `statistic`: the smallest pointwise tail probability, `p`: how often uniform ranks have one as small.  `z`: mean
    over simulations of (truth - posterior mean) / posterior SD.  `histogram`: ranks in CLASSES classes.
    """

    statistic: float
    p: float
    z: float
    histogram: tuple[int, ...]


def uniformity(places: Vector, z: Vector) -> Uniformity:
    """The test for the ranks of one quantity, spread over (0, 1); shape (simulations,) each."""
    statistic = smallest_tail(places)
    counts = np.bincount(np.minimum((CLASSES * places).astype(int), CLASSES - 1), minlength=CLASSES)
    p = outside_probability(places.size, statistic)
    return Uniformity(statistic, p, float(np.mean(z)), tuple(int(count) for count in counts))


def smallest_tail(places: Vector) -> float:
    """The smallest two-sided tail probability of an order statistic."""
    n = places.size
    i = np.arange(1, n + 1)
    law = stats.beta(i, n + 1 - i)
    ordered = np.sort(places)
    return float(min(1.0, 2.0 * np.minimum(law.cdf(ordered), law.sf(ordered)).min()))


def outside_probability(n: int, level: float) -> float:
    """Probability that any of n uniform order statistics lies outside of its central interval of 1 - `level`.

    The number of values below t is a Poisson process given its total: its distribution goes from one end of a band to
    the next, and what has left the band is added up (so that small probabilities are exact).
    """
    i = np.arange(1, n + 1)
    law = stats.beta(i, n + 1 - i)
    ends = [(t, False, k) for k, t in enumerate(law.ppf(0.5 * level), 1)]
    ends += [(t, True, k) for k, t in enumerate(law.isf(0.5 * level), 1)]
    counts = np.arange(n + 1)
    inside = np.zeros(n + 1)  # probability of so many values below t, never having left
    inside[0] = 1.0
    outside, now = 0.0, 0.0
    for t, is_upper, k in sorted(ends):
        inside = np.convolve(inside, stats.poisson.pmf(counts, n * (t - now)))[: n + 1]
        now = t
        # too few below the upper end of the k-th, too many below its lower end
        left = inside[:k] if is_upper else inside[k:]
        rest = n - (counts[:k] if is_upper else counts[k:])
        outside += float(left @ stats.poisson.pmf(rest, n * (1.0 - t)))
        left[:] = 0.0
    return float(min(1.0, outside / stats.poisson.pmf(n, n)))


def threshold(alpha: float, quantities: int) -> float:
    """The p-value below which one of so many quantities counts: a false alarm in any of them with at most alpha."""
    return alpha / max(quantities, 1)
