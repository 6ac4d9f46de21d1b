"""Responses of categorical and count variables: what is normal around the linear predictor in their place.

A missing category is drawn first, with the response integrated out; then every response given its category.
"""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.augmentation import (
    log1p_exp,
    log_logistic_interval,
    log_normal_interval,
    logistic_scale,
    polya_gamma,
    polya_gamma_one,
)
from mlbayes.engine.jit import kernel
from mlbayes.engine.random import interval_normal
from mlbayes.plan.plan import (
    RESPONSE_CATEGORIES,
    RESPONSE_CELL_COUNT,
    RESPONSE_CELLS,
    RESPONSE_CODE,
    RESPONSE_COUNT,
    RESPONSE_CUTS,
    RESPONSE_EVIDENCE,
    RESPONSE_KIND,
    RESPONSE_LABELS,
    RESPONSE_LOGISTIC,
    RESPONSE_MEAN,
    RESPONSE_NORMAL,
    RESPONSE_NUMBER,
    RESPONSE_ROOT,
    RESPONSE_SD,
    RESPONSE_SHIFT,
    RESPONSE_UNITS,
    RESPONSE_VALUE,
    Plan,
)


@kernel
def threshold(store: NDArray, cuts: int, categories: int, k: int) -> float:
    """Upper threshold of category k - 1, lower one of category k: minus infinity, 0, ..., infinity."""
    if k == 0:
        return -math.inf
    if k == categories:
        return math.inf
    return store[cuts + k - 1]


@kernel
def log_probability(store: NDArray, row: NDArray, mean: float, sd: float, category: int) -> float:
    """Log probability of a category given the mean (and standard deviation, if normal) of its response."""
    cuts = row[RESPONSE_CUTS]
    lower = threshold(store, cuts, row[RESPONSE_CATEGORIES], category) - mean
    upper = threshold(store, cuts, row[RESPONSE_CATEGORIES], category + 1) - mean
    if row[RESPONSE_KIND] == RESPONSE_NORMAL:
        return log_normal_interval(lower / sd, upper / sd)
    return log_logistic_interval(lower, upper)


@kernel
def draw_categories(plan: Plan, store: NDArray, row: NDArray, rng: Generator) -> None:
    """Missing categories: probability under the response's distribution times the evidence of other equations."""
    categories = row[RESPONSE_CATEGORIES]
    cells = row[RESPONSE_CELL_COUNT]
    for k in range(cells):
        unit = plan.index[row[RESPONSE_CELLS] + k]
        mean = store[row[RESPONSE_MEAN] + unit]
        sd = store[row[RESPONSE_SD] + unit] if row[RESPONSE_SD] >= 0 else 1.0
        chosen = 0
        best = -math.inf
        for c in range(categories):  # the largest of log probability + Gumbel noise is a draw
            score = log_probability(store, row, mean, sd, c)
            if row[RESPONSE_EVIDENCE] >= 0:
                score += store[row[RESPONSE_EVIDENCE] + c * cells + k]
            score -= math.log(rng.standard_exponential())
            if score > best:
                best = score
                chosen = c
        store[row[RESPONSE_CODE] + unit] = chosen
        store[row[RESPONSE_NUMBER] + unit] = store[row[RESPONSE_LABELS] + chosen]


@kernel
def draw_responses(plan: Plan, store: NDArray, r: int, rng: Generator) -> None:
    """Draw missing categories, then every response given its category.

    Normal: truncated to the interval between its thresholds (Albert & Chib 1993, JASA 88, 669-679).  Logistic:
    truncated likewise by inversion, then its variance as a scale mixture of normals (Holmes & Held 2006, Bayesian
    Analysis 1, 145-168).  Binary logit and negative binomial: Polya-Gamma precision w and the working response
    kappa / w (Polson, Scott & Windle 2013, JASA 108, 1339-1349, equation 7).
    """
    row = plan.responses[r]
    draw_categories(plan, store, row, rng)
    kind = row[RESPONSE_KIND]
    value = row[RESPONSE_VALUE]
    root = row[RESPONSE_ROOT]
    for unit in range(row[RESPONSE_UNITS]):
        code = store[row[RESPONSE_CODE] + unit]
        if code < 0.0:
            continue
        mean = store[row[RESPONSE_MEAN] + unit]
        if kind == RESPONSE_NORMAL or kind == RESPONSE_LOGISTIC:
            c = int(code)
            lower = threshold(store, row[RESPONSE_CUTS], row[RESPONSE_CATEGORIES], c)
            upper = threshold(store, row[RESPONSE_CUTS], row[RESPONSE_CATEGORIES], c + 1)
            if kind == RESPONSE_NORMAL:
                sd = store[row[RESPONSE_SD] + unit] if row[RESPONSE_SD] >= 0 else 1.0
                store[value + unit] = interval_normal(rng, mean, sd, lower, upper)
            else:
                residual = interval_logistic(rng, lower - mean, upper - mean)
                store[value + unit] = mean + residual
                store[root + unit] = 1.0 / math.sqrt(logistic_scale(rng, residual))
            continue
        shift = store[row[RESPONSE_SHIFT] + unit] if row[RESPONSE_SHIFT] >= 0 else 0.0
        if kind == RESPONSE_COUNT:
            size = 1.0 / store[row[RESPONSE_CUTS]]
            shift += math.log(size)
            precision = polya_gamma(rng, code + size, mean - shift)
            kappa = 0.5 * (code - size)
        else:
            precision = polya_gamma_one(rng, mean - shift)
            kappa = code - 0.5
        store[value + unit] = kappa / precision + shift
        store[root + unit] = math.sqrt(precision)


@kernel
def interval_logistic(rng: Generator, lower: float, upper: float) -> float:
    """A draw from the standard logistic distribution within (lower, upper), by inversion in the nearer tail."""
    if lower + upper > 0.0:
        return -interval_logistic_below(rng, -upper, -lower)
    return interval_logistic_below(rng, lower, upper)


@kernel
def interval_logistic_below(rng: Generator, lower: float, upper: float) -> float:
    """The same for an interval that lies more below 0 than above: logarithms of probabilities are exact there."""
    below = -log1p_exp(-lower)
    above = -log1p_exp(-upper)
    ratio = math.exp(below - above)
    share = above + math.log(1.0 - rng.random() * (1.0 - ratio))  # log probability, uniform between the two
    share = min(share, -1e-16)
    return share - math.log(-math.expm1(share))
