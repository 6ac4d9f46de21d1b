"""A residual variance for each cluster, from an inverse gamma population (OPTIONS: hev).

Kasim & Raudenbush 1998, Journal of Educational and Behavioral Statistics 23, 93-116: with x = 1 / (2 theta) the
variance of a cluster is IG(x, x s), s the centre of the population and theta the index of heterogeneity, both with a
flat prior or, where the model says so, a normal one of the logarithm.  The gamma function of the population's density
is taken by Stirling's formula, Gamma(x) = sqrt(2 pi / x) (x / e)^x, as the reference does, since s and theta given the
variances then are gamma and inverse gamma. Here they are drawn by slice sampling with the variances integrated out.
"""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.augmentation import log_gamma
from mlbayes.engine.jit import kernel
from mlbayes.engine.random import inverse_gamma
from mlbayes.plan.plan import (
    CLUSTER_COUNTS,
    CLUSTER_POPULATION,
    CLUSTER_ROOT,
    CLUSTER_SQUARES,
    CLUSTER_UNITS,
    Plan,
)

EXPANSIONS = 30  # of a slice's first interval at the most, dealt out to both sides
SHRINKS = 60
WIDTH = 1.0  # of a slice's first interval, on the log scale


@kernel
def log_population_prior(store: NDArray, row: NDArray, k: int, logarithm: float) -> float:
    """Log prior density of the logarithm of centre (k = 0) or index (1): normal, or that of a flat number."""
    precision = store[row[CLUSTER_POPULATION] + 4 + 2 * k]
    if not precision > 0.0:
        return logarithm
    distance = logarithm - store[row[CLUSTER_POPULATION] + 5 + 2 * k]
    return -0.5 * precision * distance * distance


@kernel
def log_population(store: NDArray, row: NDArray, log_centre: float, log_index: float) -> float:
    """Log density of log s and log theta given the residuals, the variances of the clusters integrated out."""
    x = 0.5 * math.exp(-log_index)
    scale = x * math.exp(log_centre)
    value = log_population_prior(store, row, 0, log_centre) + log_population_prior(store, row, 1, log_index)
    units = row[CLUSTER_UNITS]
    value += units * (0.5 * math.log(x) + x + x * log_centre)
    for j in range(units):
        shape = x + 0.5 * store[row[CLUSTER_COUNTS] + j]
        value += log_gamma(shape) - shape * math.log(scale + 0.5 * store[row[CLUSTER_SQUARES] + j])
    return value


@kernel
def draw_cluster_variances(plan: Plan, store: NDArray, r: int, rng: Generator) -> None:
    """Draw centre and index by slice sampling (Neal 2003), each given the other, then every cluster's variance."""
    row = plan.cluster_variances[r]
    population = row[CLUSTER_POPULATION]
    logs = store[population + 2 : population + 4]
    logs[0] = math.log(store[population])
    logs[1] = math.log(store[population + 1])
    for k in range(2):
        now = logs[k]
        height = log_population(store, row, logs[0], logs[1]) - rng.standard_exponential()
        low = now - WIDTH * rng.random()
        high = low + WIDTH
        below = int(EXPANSIONS * rng.random())  # how they are dealt out must not depend on the density
        for _ in range(below):
            logs[k] = low
            if not log_population(store, row, logs[0], logs[1]) > height:
                break
            low -= WIDTH
        for _ in range(EXPANSIONS - 1 - below):
            logs[k] = high
            if not log_population(store, row, logs[0], logs[1]) > height:
                break
            high += WIDTH
        found = now
        for _ in range(SHRINKS):
            new = low + (high - low) * rng.random()
            logs[k] = new
            if log_population(store, row, logs[0], logs[1]) > height:
                found = new
                break
            if new < now:
                low = new
            else:
                high = new
        logs[k] = found
    store[population] = math.exp(logs[0])
    store[population + 1] = math.exp(logs[1])
    x = 0.5 / store[population + 1]
    for j in range(row[CLUSTER_UNITS]):
        shape = x + 0.5 * store[row[CLUSTER_COUNTS] + j]
        scale = x * store[population] + 0.5 * store[row[CLUSTER_SQUARES] + j]
        store[row[CLUSTER_ROOT] + j] = 1.0 / math.sqrt(inverse_gamma(rng, shape, scale))
