"""Distributions of categorical and count outcomes given their linear predictors, as arrays over units.

scipy is imported by the functions that need it: it takes as long to load as a small model takes to run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.model.model import Distribution

Vector = NDArray[np.float64]
SMALLEST = 1e-300  # of a probability whose logarithm is taken
LARGEST_COUNT = 1e15  # of a count that is drawn
LARGEST_LOG_MEAN = 300.0


def category_probabilities(distribution: Distribution, fitted: Sequence[Vector], cuts: Vector) -> Vector:
    """Probability of each category, shape (units, categories).

    `fitted`: the linear predictor, of a nominal outcome one for each category but the first; `cuts`: thresholds of an
    ordinal outcome, shape (categories - 1,).
    """
    if distribution is Distribution.MULTINOMIAL:
        scores = np.stack([np.zeros_like(fitted[0]), *fitted], axis=1)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))
    from scipy.special import expit, ndtr

    function = expit if distribution is Distribution.LOGIT else ndtr
    distances = cuts - fitted[0][:, None]
    ends = np.full((fitted[0].size, 1), np.inf)
    lower, upper = np.hstack([-ends, distances]), np.hstack([distances, ends])
    flip = lower + upper > 0.0  # differences of small numbers are exact in the nearer tail only
    with np.errstate(invalid="ignore"):
        flip |= np.isinf(upper) & (lower > 0.0)
    return np.where(flip, function(-lower) - function(-upper), function(upper) - function(lower))


def log_probability(probabilities: Vector, places: NDArray[np.int64]) -> Vector:
    """Log probability of each unit's category, shape (units,)."""
    chosen = probabilities[np.arange(places.size), places]
    return np.log(np.maximum(chosen, SMALLEST))


def draw_places(probabilities: Vector, rng: Generator) -> NDArray[np.int64]:
    """A category for each unit, shape (units,)."""
    shares = np.cumsum(probabilities, axis=1)
    chosen = (rng.random(len(shares))[:, None] * shares[:, -1:] > shares).sum(axis=1)
    return np.minimum(chosen, probabilities.shape[1] - 1).astype(np.int64)


def draw_within(mean: Vector, sd: Vector | float, bounds: tuple[float, float], rng: Generator) -> Vector:
    """Normal draws within bounds, by inversion in the nearer tail; shape of `mean`."""
    from scipy.special import ndtr, ndtri

    lower, upper = ((bound - mean) / sd for bound in bounds)
    if np.isinf(bounds).all():
        return mean + sd * rng.standard_normal(mean.size)
    flip = np.isinf(upper) | (lower + upper > 0.0)
    lower, upper = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    low = ndtr(lower)
    z = ndtri(np.maximum(low + rng.random(mean.size) * (ndtr(upper) - low), SMALLEST))
    return mean + sd * np.where(flip, -z, z)


def log_count_probability(counts: Vector, fitted: Vector, dispersion: float) -> Vector:
    """Negative binomial log probability with mean mu = exp(fitted) and variance mu + dispersion mu^2."""
    from scipy.special import betaln

    size = 1.0 / dispersion
    log_odds = fitted + np.log(dispersion)
    combinations = -betaln(size, counts + 1.0) - np.log(counts + size)  # of gamma functions, for any size
    value = combinations + counts * log_odds - (counts + size) * np.logaddexp(0.0, log_odds)
    return np.asarray(value, dtype=np.float64)


def draw_counts(fitted: Vector, dispersion: float, rng: Generator) -> Vector:
    """A count for each unit: Poisson around a gamma variable."""
    mean = count_means(fitted) * rng.standard_gamma(1.0 / dispersion, fitted.size) * dispersion
    return rng.poisson(np.minimum(mean, LARGEST_COUNT)).astype(np.float64)


def count_means(fitted: Vector) -> Vector:
    """Expected counts, shape (units,); no overflow where a chain wanders."""
    return np.asarray(np.exp(np.minimum(fitted, LARGEST_LOG_MEAN)))
