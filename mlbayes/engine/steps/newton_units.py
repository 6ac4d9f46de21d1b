"""What a unit adds to the log density of a Newton step: log probability of its category or count given its linear
predictor, log density of a residual given its log variance, and the derivatives.
"""

import math

from numpy.typing import NDArray

from mlbayes.engine.augmentation import (
    digamma,
    log1p_exp,
    log_logistic_density,
    log_logistic_interval,
    log_negative_binomial,
    log_normal_interval,
    logistic_cdf,
    trigamma,
)
from mlbayes.engine.jit import kernel
from mlbayes.plan.plan import NEWTON_COUNT, NEWTON_LOGIT, NEWTON_VARIANCE

ROOT_2PI = math.sqrt(2.0 * math.pi)


@kernel
def probit_interval(lower: float, upper: float, d: NDArray) -> None:
    """Log P(lower < Z < upper) in d[0]; derivatives by upper, lower in d[1], d[2]; by both twice in d[3], d[4], d[5].

    d[3]: upper twice, d[4]: upper and lower, d[5]: lower twice.
    """
    d[0] = log_normal_interval(lower, upper)
    up = math.exp(-0.5 * upper * upper - d[0]) / ROOT_2PI if math.isfinite(upper) else 0.0
    low = math.exp(-0.5 * lower * lower - d[0]) / ROOT_2PI if math.isfinite(lower) else 0.0
    d[1] = up
    d[2] = -low
    d[3] = -(upper * up if math.isfinite(upper) else 0.0) - up * up
    d[4] = up * low
    d[5] = (lower * low if math.isfinite(lower) else 0.0) - low * low


@kernel
def logit_interval(lower: float, upper: float, d: NDArray) -> None:
    """The same for the standard logistic distribution F; an infinite end leaves log F(x)."""
    if math.isinf(lower) or math.isinf(upper):
        below = math.isinf(lower)
        x = upper if below else -lower
        d[0] = -log1p_exp(-x)
        slope = logistic_cdf(-x)
        curve = -slope * logistic_cdf(x)
        d[1] = slope if below else 0.0
        d[2] = 0.0 if below else -slope
        d[3] = curve if below else 0.0
        d[4] = 0.0
        d[5] = 0.0 if below else curve
        return
    d[0] = log_logistic_interval(lower, upper)
    u = logistic_cdf(upper)
    v = logistic_cdf(lower)
    up = math.exp(log_logistic_density(upper) - d[0])
    low = math.exp(log_logistic_density(lower) - d[0])
    d[1] = up
    d[2] = -low
    d[3] = up * (1.0 - 2.0 * u) - up * up
    d[4] = up * low
    d[5] = -low * (1.0 - 2.0 * v) - low * low


@kernel
def count_terms(y: float, eta: float, log_dispersion: float, d: NDArray) -> None:
    """Negative binomial log probability in d[0] and its derivatives.

    By eta: d[1], negative second d[3]; by log dispersion: d[2], negative second d[5].  The mixed second derivative
    has expectation 0 and is left out.
    """
    h = math.exp(-log_dispersion)
    log_odds = eta + log_dispersion
    p = logistic_cdf(log_odds)  # mu / (h + mu)
    q = logistic_cdf(-log_odds)
    d[0] = log_negative_binomial(y, log_odds, h)
    d[1] = q * y - p * h
    d[3] = p * q * (h + y)
    first = digamma(y + h) - digamma(h) - log1p_exp(log_odds) + p - q * y / h
    second = trigamma(y + h) - trigamma(h) + (p * p + q * q * y / h) / h
    d[2] = -h * first
    d[5] = -h * h * second - h * first


@kernel
def log_unit(
    family: int, code: float, eta: float, sd: float, tau: NDArray, last: int, log_dispersion: float
) -> float:
    """Log probability of a unit's category or count given its linear predictor; of a residual given its log variance.

    `sd`: of a normal response; for a residual what it is multiplied with where it covaries with others; `tau`:
    thresholds, `last` of them.
    """
    if family == NEWTON_COUNT:
        return log_negative_binomial(code, eta + log_dispersion, math.exp(-log_dispersion))
    if family == NEWTON_VARIANCE:
        root = math.exp(min(-0.5 * eta, 350.0))
        return -0.5 * (eta + code * root * root) - sd * root
    c = int(code)
    upper = (tau[c] - eta) / sd if c < last else math.inf
    lower = (tau[c - 1] - eta) / sd if c > 0 else -math.inf
    return (
        log_logistic_interval(lower, upper) if family == NEWTON_LOGIT else log_normal_interval(lower, upper)
    )


@kernel
def binary_logit(codes: NDArray, eta: NDArray, count: int) -> float:
    """Log probability of 0/1 codes of a chunk of units, negative ones left out; standard deviation 1.

    The terms 1 + exp(-|eta|) lie between 1 and 2, so one logarithm is taken of the product of many of them.
    """
    value = 0.0
    odds = 1.0
    for i in range(count):
        if codes[i] < 0.0:
            continue
        x = eta[i] if codes[i] > 0.0 else -eta[i]
        value += min(x, 0.0)
        odds *= 1.0 + math.exp(-abs(x))
        if odds > 1e100:
            value -= math.log(odds)
            odds = 1.0
    return value - math.log(odds)


@kernel
def binary_logit_derivatives(
    codes: NDArray, eta: NDArray, count: int, slopes: NDArray, curves: NDArray
) -> None:
    """The derivatives of its terms by eta, and negative second ones; 0 for negative codes."""
    for i in range(count):
        odds = math.exp(-abs(eta[i]))
        larger = 1.0 / (1.0 + odds)
        smaller = odds * larger
        one = larger if eta[i] > 0.0 else smaller  # probability of code 1
        known = codes[i] >= 0.0
        slopes[i] = codes[i] - one if known else 0.0
        curves[i] = larger * smaller if known else 0.0
