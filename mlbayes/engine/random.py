"""Draws from a few distributions with the chain's own generator."""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.engine.linalg import cholesky

LARGEST_LOG_COUNT = 30.0  # beyond it a Poisson variable does not fit into 64 bits with all its digits


@kernel
def inverse_gamma(rng: Generator, shape: float, scale: float) -> float:
    """A draw with density proportional to x^(-shape - 1) exp(-scale / x)."""
    return scale / rng.standard_gamma(shape)


@kernel
def positive_normal(rng: Generator, mean: float) -> float:
    """A draw from N(mean, 1) given that it is positive.

    Plain rejection where the mean is not far below zero, else Robert (1995, Statistics and Computing 5,
    121-125, section 2.2) with an exponential proposal.  nan if the mean is; at least two in three proposals are
    accepted with any other, however large.
    """
    if math.isnan(mean):
        return math.nan
    if mean > -0.5:
        while True:
            x = mean + rng.standard_normal()
            if x > 0.0:
                return x
    bound = -mean
    rate = 0.5 * (bound + math.sqrt(bound * bound + 4.0))
    while True:
        x = rng.standard_exponential() / rate
        distance = x - 1.0 / rate  # of bound + x from the rate, which is bound + 1 / rate
        if rng.random() <= math.exp(-0.5 * distance * distance):
            return x


@kernel
def interval_normal(rng: Generator, mean: float, sd: float, lower: float, upper: float) -> float:
    """A draw from N(mean, sd^2) within (lower, upper), either of which may be infinite.

    Half-lines by `positive_normal`; intervals by rejection from the normal, from a half-line or from a
    uniform proposal (Robert 1995, section 2.3), whichever accepts most often.  nan if an argument is.
    """
    a = (lower - mean) / sd
    b = (upper - mean) / sd
    if math.isnan(a) or math.isnan(b):
        return math.nan
    if math.isinf(a) and math.isinf(b):
        return mean + sd * rng.standard_normal()
    if math.isinf(b):
        return mean + sd * (a + positive_normal(rng, -a))
    if math.isinf(a):
        return mean - sd * (-b + positive_normal(rng, b))
    if a > 0.0 or b < 0.0:
        near = a if a > 0.0 else -b
        far = b if a > 0.0 else -a
        if (far - near) * (near + math.sqrt(near * near + 4.0)) > 2.0:
            while True:
                z = near + positive_normal(rng, -near)
                if z < far:
                    return mean + sd * (z if a > 0.0 else -z)
    else:
        if b - a > 2.5:
            while True:
                z = rng.standard_normal()
                if a < z < b:
                    return mean + sd * z
        near = 0.0
    while True:
        z = a + (b - a) * rng.random()
        if rng.random() <= math.exp(-0.5 * (abs(z) - near) * (abs(z) + near)):
            return mean + sd * z


@kernel
def inverse_wishart_factor(
    rng: Generator, df: float, scale: NDArray, factor: NDArray, n: int, scratch: NDArray
) -> bool:
    """Lower Cholesky factor of a draw from IW(df, scale), density |X|^(-(df+n+1)/2) exp(-tr(scale X^-1)/2).

    Bartlett's decomposition read from the last row up: with B lower triangular, B_ii^2 ~ chi2(df - n + 1 + i)
    and B_ij ~ N(0, 1), B'B is Wishart(df, I); so with scale = C C' the factor is C B^-1, which is lower
    triangular already.  `scratch`: (2 or more, n, n).  False when `scale` is not positive definite.
    """
    c = scratch[0]
    b = scratch[1]
    if math.isnan(cholesky(scale, c, n)):
        return False
    for i in range(n):
        b[i, i] = math.sqrt(2.0 * rng.standard_gamma(0.5 * (df - n + 1 + i)))
        for j in range(i):
            b[i, j] = rng.standard_normal()
    for i in range(n):
        for j in range(i, -1, -1):
            s = c[i, j]
            for k in range(j + 1, i + 1):
                s -= factor[i, k] * b[k, j]
            factor[i, j] = s / b[j, j]
    return True


@kernel
def draw_count(rng: Generator, log_mean: float, dispersion: float) -> float:
    """A negative binomial count with variance mean + dispersion mean^2: Poisson around a gamma variable."""
    rate = rng.standard_gamma(1.0 / dispersion) * dispersion * math.exp(min(log_mean, LARGEST_LOG_COUNT))
    return float(rng.poisson(min(rate, math.exp(LARGEST_LOG_COUNT))))


@kernel
def normal_cdf(x: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * math.erfc(-x * math.sqrt(0.5))


@kernel
def inverse_gaussian(rng: Generator, drift: float, shape: float) -> float:
    """A draw from the inverse Gaussian distribution with mean 1 / drift; drift 0 (Levy's distribution) is allowed.

    The density is proportional to x^(-3/2) exp(-shape (drift x - 1)^2 / (2x)).  Michael, Schucany & Haas (1976,
    American Statistician 30, 88-90), with the root of their equation in a form that loses no digits.
    """
    z = rng.standard_normal()
    y = 0.5 * z * z / shape
    reciprocal = drift + y + math.sqrt(y * (y + 2.0 * drift))  # of the smaller root, so at least the drift
    if rng.random() * (drift + reciprocal) <= reciprocal:
        return 1.0 / reciprocal
    return reciprocal / drift / drift
