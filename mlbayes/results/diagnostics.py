"""Effective sample size and Monte Carlo standard error: arrays of shape (chains, draws) in, numbers out.

The effective size is that of the mean of the raw draws, over half chains, by Geyer's initial monotone
sequence (Vehtari et al. 2021, section 3.2).  R-hat is in `mlbayes.results.rhat`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.results.rhat import MINIMUM, rhat, rhat_table

__all__ = ["effective_size", "mcse_median", "rhat", "rhat_table"]

Array = NDArray[np.float64]
DIRECT_LAGS = 40  # more lags are dearer one by one than all at once by Fourier transform


@kernel
def mean_autocovariance(centred: Array, lag: int) -> float:
    """Autocovariance (divisor: draws) at a lag, mean over chains; `centred`: (chains, draws), mean 0 each."""
    chains, draws = centred.shape
    total = 0.0
    for chain in range(chains):
        for i in range(draws - lag):
            total += centred[chain, i] * centred[chain, i + lag]
    return total / (chains * draws)


@kernel
def correlation(centred: Array, known: Array, lag: int, scale: float, variance: float) -> float:
    """Autocorrelation over chains at a lag, from the known autocovariances where they reach."""
    covariance = known[lag] if lag < known.size else mean_autocovariance(centred, lag)
    return 1.0 - (scale - covariance) / variance


@kernel
def geyer_time(centred: Array, known: Array, between: float, limit: int) -> float:
    """Integrated autocorrelation time by the initial monotone sequence; -inf if it takes over `limit` lags.

    `centred`: (chains, draws); `known`: mean autocovariances of the first lags (may be empty); `between`:
    variance of the chain means.  Pairs of correlations are added while positive, each at most the one before.
    """
    draws = centred.shape[1]
    within = known[0] if known.size else mean_autocovariance(centred, 0)
    scale = within * draws / (draws - 1.0)
    variance = within + between
    even, odd = 1.0, correlation(centred, known, 1, scale, variance)
    pair, total = np.inf, 0.0
    lag = 0
    while lag + 1 < draws - 3 and even + odd > 0.0:
        pair = min(pair, even + odd)
        total += pair
        lag += 2
        if lag + 1 > limit:
            return -np.inf
        even = correlation(centred, known, lag, scale, variance)
        odd = correlation(centred, known, lag + 1, scale, variance)
    # Of the pair that ends the sequence the first member still counts, once.
    rest = even if even > 0.0 or even + odd >= 0.0 else 0.0
    return -1.0 + 2.0 * total + rest


def split(draws: Array) -> Array:
    """First and second halves of chains as chains of their own: (chains, draws) -> (2 chains, draws // 2)."""
    half = draws.shape[1] // 2
    return np.concatenate((draws[:, :half], draws[:, draws.shape[1] - half :])).astype(np.float64)


def autocovariances(centred: Array) -> Array:
    """Mean autocovariances at all lags (draws,) of centred chains (chains, draws), by Fourier transform."""
    draws = centred.shape[1]
    padded = 1 << (2 * draws - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, n=padded, axis=1)) ** 2
    covariance: Array = np.fft.irfft(power.mean(axis=0), n=padded)[:draws] / draws
    return covariance


def effective_size(draws: Array) -> float:
    """Effective sample size of draws (chains, draws); nan for constants, short or non-finite ones."""
    if draws.shape[1] < MINIMUM or not np.isfinite(draws).all():
        return math.nan
    if np.ptp(draws) < np.finfo(float).resolution:
        return math.nan
    chains = split(draws)
    means = chains.mean(axis=1)
    centred = chains - means[:, None]
    between = float(means.var(ddof=1))
    time = geyer_time(centred, np.zeros(0), between, DIRECT_LAGS)
    if time == -math.inf:
        time = geyer_time(centred, autocovariances(centred), between, chains.shape[1])
    if not math.isfinite(time):
        return math.nan
    return float(chains.size / max(time, 1.0 / math.log10(chains.size)))


def mcse_median(draws: Array) -> float:
    """Monte Carlo standard error of the median of draws (chains, draws); nan where that makes no sense.

    Half the distance between the quantiles one standard error on either side of one half (Vehtari et al.
    2021, section 4.3), the beta distribution there replaced by its normal approximation.
    """
    below = (draws <= np.median(draws)).astype(np.float64)
    size = effective_size(below)
    if math.isnan(size) or math.isnan(effective_size(draws)):
        return math.nan
    error = 0.5 / math.sqrt(size + 3.0)
    ends = np.array([0.5 - error, 0.5 + error])
    places = np.clip(ends * draws.size - 1, 0, draws.size - 1)
    low, high = int(np.floor(places[0])), int(np.ceil(places[1]))
    ordered = np.partition(draws, (low, high), axis=None)
    return float(ordered[high] - ordered[low]) / 2.0
