"""Unknowns on which a log variance depends: random log variances, and predictors of a variance that are not known.

Given everything else the unknown u of a unit is Gaussian by all equations but those whose variance it changes.
Their residuals a + b u have the log variance c + d u each, which is not conjugate to anything, so every unit has a
Metropolis decision of its own: a t distribution around the mode is proposed, which does not depend on where u is.
Residuals that covary (`~~`) with these come in with the elements of their precision matrix, with u in them or without.
"""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.plan.plan import (
    MODULATED_CONSTANT,
    MODULATED_LINEAR,
    MODULATED_PRECISION,
    MODULATED_SET,
    MODULATED_SLOPE,
    MODULATOR_FIRST,
    MODULATOR_LAST,
    MODULATOR_LINEAR,
    MODULATOR_MEMORY,
    MODULATOR_PAIRS,
    MODULATOR_PAIRS_END,
    MODULATOR_PRECISION,
    MODULATOR_UNITS,
    MODULATOR_VALUES,
    PAIR_FIRST,
    PAIR_PRECISION,
    PAIR_SECOND,
    SET_STARTS,
    Plan,
    Work,
)

FREEDOM = 8.0  # of the t distribution that is proposed from
SEARCH = 12  # steps towards the mode at the most
NEAR = 0.1  # standard deviations of the proposal that a step must exceed for the search to go on
LEAST = 0.1  # share of the curvature of the residuals one by one that those which covary leave at the least


@kernel
def modulated_terms(
    modulated: NDArray,
    pairs: NDArray,
    sets: NDArray,
    index: NDArray,
    store: NDArray,
    row: NDArray,
    unit: int,
    u: float,
    d: NDArray,
) -> None:
    """What the residuals of a unit add to the log density at u: d[0]; slope d[1] and curvatures d[2], d[3].

    d[2] is the negative second derivative without the terms that can be negative; d[3], at least the curvature that
    residuals of size 1 SD would have, keeps steps of a search short where all residuals are small.

    Tables of the plan are handed over one by one: handing over the whole plan takes longer than the work on a unit.
    """
    value, gradient, curvature, bound = 0.0, 0.0, 0.0, 0.0
    for k in range(row[MODULATOR_FIRST], row[MODULATOR_LAST]):
        equation = modulated[k]
        starts = sets[equation[MODULATED_SET], SET_STARTS]
        last = 0.0
        factor = 1.0
        for i in range(index[starts + unit], index[starts + unit + 1]):
            slope = store[equation[MODULATED_SLOPE] + i]
            if slope != last:
                last = slope
                factor = math.exp(min(-slope * u, 700.0))
            linear = store[equation[MODULATED_LINEAR] + i]
            residual = store[equation[MODULATED_CONSTANT] + i] + linear * u
            precision = store[equation[MODULATED_PRECISION] + i] * factor
            square = residual * residual * precision
            value -= 0.5 * (slope * u + square)
            gradient += 0.5 * slope * (square - 1.0) - linear * residual * precision
            curvature += linear * linear * precision + 0.5 * slope * slope * square
            bound += linear * linear * precision + 0.5 * slope * slope * max(square, 1.0)
    d[0], d[1], d[2], d[3] = value, gradient, curvature, bound
    if row[MODULATOR_PAIRS] < row[MODULATOR_PAIRS_END]:
        together = pair_terms(modulated, pairs, sets, index, store, row, unit, u, d)
        d[2] = max(d[2] + together, LEAST * d[2])
        d[3] = max(d[3] + together, LEAST * d[3])


@kernel
def pair_terms(
    modulated: NDArray,
    pairs: NDArray,
    sets: NDArray,
    index: NDArray,
    store: NDArray,
    row: NDArray,
    unit: int,
    u: float,
    d: NDArray,
) -> float:
    """Add what products of residuals that covary add to the log density and its slope; returns their curvature.

    A product is w (a + b u) (a' + b' u) exp(-(d + d') u / 2), w the place PAIR_PRECISION.
    """
    curvature = 0.0
    for k in range(row[MODULATOR_PAIRS], row[MODULATOR_PAIRS_END]):
        pair = pairs[k]
        one = modulated[pair[PAIR_FIRST]]
        two = modulated[pair[PAIR_SECOND]]
        starts = sets[one[MODULATED_SET], SET_STARTS]
        last = 0.0
        factor = 1.0
        for i in range(index[starts + unit], index[starts + unit + 1]):
            slope = 0.5 * (store[one[MODULATED_SLOPE] + i] + store[two[MODULATED_SLOPE] + i])
            if slope != last:
                last = slope
                factor = math.exp(min(-slope * u, 700.0))
            b = store[one[MODULATED_LINEAR] + i]
            c = store[two[MODULATED_LINEAR] + i]
            first = store[one[MODULATED_CONSTANT] + i] + b * u
            second = store[two[MODULATED_CONSTANT] + i] + c * u
            precision = store[pair[PAIR_PRECISION] + i] * factor
            d[0] -= precision * first * second
            d[1] += precision * (slope * first * second - b * second - c * first)
            curvature += precision * (2.0 * b * c + slope * slope * first * second)
    return curvature


@kernel
def draw_modulators(
    plan: Plan, store: NDArray, r: int, iteration: int, burn: int, rng: Generator, work: Work
) -> None:
    """One proposal for the unknown of every unit."""
    row = plan.modulators[r]
    modulated, pairs, sets, index = plan.modulated, plan.modulated_pairs, plan.sets, plan.index
    d = work.vectors[0]
    memory = row[MODULATOR_MEMORY]
    if iteration == burn:
        store[memory] = 0.0
        store[memory + 1] = 0.0
    for unit in range(row[MODULATOR_UNITS]):
        precision = store[row[MODULATOR_PRECISION] + unit]
        linear = store[row[MODULATOR_LINEAR] + unit]
        centre = linear / precision
        for _ in range(SEARCH):
            modulated_terms(modulated, pairs, sets, index, store, row, unit, centre, d)
            curvature = precision + d[3]
            step = (linear - precision * centre + d[1]) / curvature
            centre += step
            if step * step * curvature < NEAR * NEAR:
                break
        modulated_terms(modulated, pairs, sets, index, store, row, unit, centre, d)
        scale = 1.0 / math.sqrt(precision + d[2])
        old = store[row[MODULATOR_VALUES] + unit]
        z_new = rng.standard_normal() * math.sqrt(FREEDOM / (2.0 * rng.standard_gamma(0.5 * FREEDOM)))
        z_old = (old - centre) / scale
        new = centre + scale * z_new
        modulated_terms(modulated, pairs, sets, index, store, row, unit, new, d)
        ratio = d[0] + (linear - 0.5 * precision * new) * new
        modulated_terms(modulated, pairs, sets, index, store, row, unit, old, d)
        ratio -= d[0] + (linear - 0.5 * precision * old) * old
        ratio += (
            0.5
            * (FREEDOM + 1.0)
            * (math.log1p(z_new * z_new / FREEDOM) - math.log1p(z_old * z_old / FREEDOM))
        )
        store[memory + 1] += 1.0
        if math.log(rng.random()) < ratio:
            store[memory] += 1.0
            store[row[MODULATOR_VALUES] + unit] = new
