"""Coefficients of log-linear and categorical models: of a log variance given the residuals, of a categorical or count
outcome with its thresholds (or dispersion) and its response integrated out.

An independence step from a reference point: one Newton step from there, given the current random effects and latent
variables, is the centre of the proposal; curvature at the reference point its precision.  The reference point is
learned in burn-in and then frozen, so the proposal never depends on where the parameters are now, and sparse
categories do not hold the chain.  Thresholds are proposed as logarithms of their distances.  Given standardised
random effects, the elements of their Cholesky factors are coefficients too.  What other equations say of thresholds
counts in the decision only: it is little beside what the categories say.
"""

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.engine.linalg import cholesky, packed, solve_lower, solve_upper
from mlbayes.engine.program import log_quadratics, run_program
from mlbayes.engine.steps.covariances import log_prior_factor
from mlbayes.engine.steps.newton_units import (
    binary_logit,
    binary_logit_derivatives,
    count_terms,
    log_unit,
    logit_interval,
    probit_interval,
)
from mlbayes.engine.vectors import add_scaled, copy, dot, triple_dot
from mlbayes.plan.plan import (
    CHUNK,
    NEWTON_CODE,
    NEWTON_COLUMNS,
    NEWTON_COUNT,
    NEWTON_EXTRA,
    NEWTON_EXTRAS,
    NEWTON_FAMILY,
    NEWTON_FORMS,
    NEWTON_FORMS_END,
    NEWTON_GROUPS,
    NEWTON_HEAD,
    NEWTON_LOGIT,
    NEWTON_MEMORY,
    NEWTON_OFFSET,
    NEWTON_PRIOR,
    NEWTON_PROGRAM,
    NEWTON_PROGRAM_END,
    NEWTON_SD,
    NEWTON_SIZE,
    NEWTON_UNITS,
    NEWTON_VALUES,
    NEWTON_VARIANCE,
    Plan,
    Work,
)

TAU, UNIT, COLUMNS = 4, 5, 7  # scratch vectors: thresholds, derivatives of a unit, columns of a unit
ACCEPTED, TRIED, SEEN = range(3)  # of the step's memory, before the reference point
FREEDOM = 8.0  # of the t distribution that is proposed from
SEARCH = 20  # sweeps in which the reference point follows its own Newton steps
FORGET = 50  # sweeps over which it averages in the first half of burn-in


@kernel
def newton_value(
    plan: Plan, store: NDArray, row: NDArray, theta: NDArray, tau: NDArray, scratch: NDArray
) -> float:
    """Log posterior density of the parameters theta given everything else, without derivatives.

    Other equations may follow the thresholds: what is centred at an expected code.
    """
    size = row[NEWTON_SIZE]
    family = row[NEWTON_FAMILY]
    value = log_prior(plan, store, row, theta, scratch)
    if value == -math.inf:
        return value
    if family != NEWTON_COUNT:
        thresholds(theta, size, row[NEWTON_EXTRAS], tau)
    last = row[NEWTON_EXTRAS] + 1
    log_dispersion = theta[size] if family == NEWTON_COUNT else 0.0
    default = 0.0 if family == NEWTON_VARIANCE else 1.0
    eta = np.empty(CHUNK)
    for start in range(0, row[NEWTON_UNITS], CHUNK):
        count = min(CHUNK, row[NEWTON_UNITS] - start)
        linear_predictors(plan, store, row, theta, start, count, eta)
        codes = store[row[NEWTON_CODE] + start : row[NEWTON_CODE] + start + count]
        if is_binary_logit(row):
            value += binary_logit(codes, eta, count)
            continue
        for i in range(count):
            if codes[i] < 0.0:
                continue
            sd = store[row[NEWTON_SD] + start + i] if row[NEWTON_SD] >= 0 else default
            value += log_unit(family, codes[i], eta[i], sd, tau, last, log_dispersion)
    if row[NEWTON_FORMS_END] > row[NEWTON_FORMS]:
        value += log_followers(plan, store, row, tau)
    return value


@kernel
def log_followers(plan: Plan, store: NDArray, row: NDArray, tau: NDArray) -> float:
    """Log density of the other equations that follow the thresholds, which are put into the store first."""
    for k in range(row[NEWTON_EXTRAS]):
        store[row[NEWTON_EXTRA] + k + 1] = tau[k + 1]
    run_program(plan, store, row[NEWTON_PROGRAM], row[NEWTON_PROGRAM_END])
    return log_quadratics(plan, store, row[NEWTON_FORMS], row[NEWTON_FORMS_END])


@kernel
def is_binary_logit(row: NDArray) -> bool:
    """Whether the units of a step have codes 0 and 1 and logistic responses, which have faster kernels."""
    return row[NEWTON_FAMILY] == NEWTON_LOGIT and row[NEWTON_EXTRAS] == 0 and row[NEWTON_SD] < 0


@kernel
def linear_predictors(
    plan: Plan, store: NDArray, row: NDArray, theta: NDArray, start: int, count: int, eta: NDArray
) -> None:
    """Linear predictors of a chunk of units."""
    offset = row[NEWTON_OFFSET] + start
    copy(eta, store[offset : offset + count], count)
    for j in range(row[NEWTON_SIZE]):
        column = plan.index[row[NEWTON_COLUMNS] + j] + start
        add_scaled(eta, store[column : column + count], theta[j], count)


@kernel
def thresholds(theta: NDArray, size: int, extras: int, tau: NDArray) -> None:
    """Thresholds 0, tau_2, ... from the logarithms of their distances."""
    tau[0] = 0.0
    for k in range(extras):
        tau[k + 1] = tau[k] + math.exp(theta[size + k])


@kernel
def log_prior(plan: Plan, store: NDArray, row: NDArray, theta: NDArray, scratch: NDArray) -> float:
    """Normal priors of coefficients, inverse Wishart of L L', gamma of the distances of thresholds (shape 1, rate 0:
    flat), normal of the log dispersion.

    Minus infinity where a diagonal element of a Cholesky factor is not positive.
    """
    size = row[NEWTON_SIZE]
    prior = row[NEWTON_PRIOR]
    value = 0.0
    for j in range(size):
        distance = theta[j] - store[prior + size + j]
        value -= 0.5 * store[prior + j] * distance * distance
    groups = row[NEWTON_GROUPS]
    for k in range(plan.index[groups]):
        first = plan.index[groups + 1 + 3 * k]
        p = plan.index[groups + 2 + 3 * k]
        df = plan.index[groups + 3 + 3 * k]
        factor = theta[first : first + packed(p, 0)]
        for i in range(p):
            if not factor[packed(i, i)] > 0.0:
                return -math.inf
        value += log_prior_factor(store[df], store[df + 1], p, factor, scratch)
    for k in range(row[NEWTON_EXTRAS]):
        if row[NEWTON_FAMILY] == NEWTON_COUNT:
            value -= 0.5 * theta[size] * theta[size] / store[prior + 2 * size]
        else:
            value += store[prior + 2 * size + 1] * theta[size + k]
            value -= store[prior + 2 * size + 2] * math.exp(theta[size + k])
    return value


@kernel
def prior_derivatives(
    plan: Plan, store: NDArray, row: NDArray, theta: NDArray, g: NDArray, h: NDArray
) -> None:
    """What the priors of coefficients and Cholesky factors add; of the scale of an inverse Wishart prior what it would
    with the other elements beside the diagonal at 0, which is exact for a single variance.
    """
    size = row[NEWTON_SIZE]
    for a in range(size):
        precision = store[row[NEWTON_PRIOR] + a]
        g[a] -= precision * (theta[a] - store[row[NEWTON_PRIOR] + size + a])
        h[a, a] += precision
    groups = row[NEWTON_GROUPS]
    for k in range(plan.index[groups]):
        first = plan.index[groups + 1 + 3 * k]
        p = plan.index[groups + 2 + 3 * k]
        prior = plan.index[groups + 3 + 3 * k]
        scale = store[prior + 1]
        for i in range(p):
            a = first + packed(i, i)
            power = p - i - (store[prior] + p + 1.0)
            element = max(theta[a], 0.05)
            pull = scale / (element * element)
            g[a] += (power + pull) / element
            h[a, a] += max(power + 3.0 * pull, 0.0) / (element * element)
            for j in range(i):
                b = first + packed(i, j)
                beside = max(theta[first + packed(j, j)], 0.05)
                g[b] -= pull * theta[b] / (beside * beside)
                h[b, b] += pull / (beside * beside)


@kernel
def newton_derivatives(
    plan: Plan,
    store: NDArray,
    row: NDArray,
    theta: NDArray,
    g: NDArray,
    h: NDArray,
    work: Work,
) -> None:
    """Gradient g and negative second derivatives h (lower triangle) of the log posterior density at theta."""
    size = row[NEWTON_SIZE]
    extras = row[NEWTON_EXTRAS]
    m = size + extras
    family = row[NEWTON_FAMILY]
    for a in range(m):
        g[a] = 0.0
        for b in range(a + 1):
            h[a, b] = 0.0
    if family != NEWTON_COUNT:
        thresholds(theta, size, extras, work.vectors[TAU])
    eta = np.empty(CHUNK)
    slopes = np.empty(CHUNK)
    curves = np.empty(CHUNK)
    for start in range(0, row[NEWTON_UNITS], CHUNK):
        count = min(CHUNK, row[NEWTON_UNITS] - start)
        linear_predictors(plan, store, row, theta, start, count, eta)
        if is_binary_logit(row):
            codes = store[row[NEWTON_CODE] + start : row[NEWTON_CODE] + start + count]
            binary_logit_derivatives(codes, eta, count, slopes, curves)
        else:
            unit_derivatives(plan, store, row, theta, start, count, eta, slopes, curves, g, h, work)
        for a in range(size):
            first = plan.index[row[NEWTON_COLUMNS] + a] + start
            left = store[first : first + count]
            g[a] += dot(slopes, left, 0, count)
            for b in range(a + 1):
                second = plan.index[row[NEWTON_COLUMNS] + b] + start
                h[a, b] += triple_dot(curves, left, store[second : second + count], count)
    if family == NEWTON_COUNT:
        if extras > 0:
            variance = store[row[NEWTON_PRIOR] + 2 * size]
            g[size] -= theta[size] / variance
            h[size, size] = max(h[size, size], 0.0) + 1.0 / variance
    else:
        to_log_distances(theta, size, extras, g, h)
        spacing_derivatives(store, row, theta, g, h)
    prior_derivatives(plan, store, row, theta, g, h)


@kernel
def unit_derivatives(
    plan: Plan,
    store: NDArray,
    row: NDArray,
    theta: NDArray,
    start: int,
    count: int,
    eta: NDArray,
    slopes: NDArray,
    curves: NDArray,
    g: NDArray,
    h: NDArray,
    work: Work,
) -> None:
    """Slopes and curves of a chunk of units by their linear predictors; those by further parameters go to g and h."""
    size = row[NEWTON_SIZE]
    extras = row[NEWTON_EXTRAS]
    family = row[NEWTON_FAMILY]
    tau, d, x = work.vectors[TAU], work.vectors[UNIT], work.vectors[COLUMNS]
    for i in range(count):
        unit = start + i
        code = store[row[NEWTON_CODE] + unit]
        slopes[i] = 0.0
        curves[i] = 0.0
        if code < 0.0:
            continue
        if family == NEWTON_COUNT:
            count_terms(code, eta[i], theta[size], d)
            slopes[i] = d[1]
            curves[i] = d[3]
            g[size] += d[2]
            h[size, size] += d[5]
        elif family == NEWTON_VARIANCE:
            root = math.exp(min(-0.5 * eta[i], 350.0))
            own = 0.5 * code * root * root
            other = 0.5 * store[row[NEWTON_SD] + unit] * root if row[NEWTON_SD] >= 0 else 0.0
            slopes[i] = own + other - 0.5
            curves[i] = max(own + 0.5 * other, 0.0)
        else:
            sd = store[row[NEWTON_SD] + unit] if row[NEWTON_SD] >= 0 else 1.0
            c = int(code)
            upper = (tau[c] - eta[i]) / sd if c <= extras else math.inf
            lower = (tau[c - 1] - eta[i]) / sd if c > 0 else -math.inf
            if family == NEWTON_LOGIT:
                logit_interval(lower, upper, d)
            else:
                probit_interval(lower, upper, d)
            slopes[i] = -(d[1] + d[2]) / sd
            curves[i] = -(d[3] + 2.0 * d[4] + d[5]) / (sd * sd)
            if extras > 0:
                for j in range(size):
                    x[j] = store[plan.index[row[NEWTON_COLUMNS] + j] + unit]
                add_thresholds(row, x, c, sd, d, g, h)


@kernel
def add_thresholds(row: NDArray, x: NDArray, c: int, sd: float, d: NDArray, g: NDArray, h: NDArray) -> None:
    """What a unit of category c adds to the derivatives by its free thresholds."""
    size = row[NEWTON_SIZE]
    up = c - 1  # place of the upper threshold among the free ones, and of the lower one
    low = c - 2
    square = sd * sd
    if 0 <= up < row[NEWTON_EXTRAS]:
        g[size + up] += d[1] / sd
        h[size + up, size + up] -= d[3] / square
        mixed = (d[3] + d[4]) / square
        for a in range(size):
            h[size + up, a] += mixed * x[a]
        if low >= 0:
            h[size + up, size + low] -= d[4] / square
    if low >= 0:
        g[size + low] += d[2] / sd
        h[size + low, size + low] -= d[5] / square
        mixed = (d[5] + d[4]) / square
        for a in range(size):
            h[size + low, a] += mixed * x[a]


@kernel
def to_log_distances(theta: NDArray, size: int, extras: int, g: NDArray, h: NDArray) -> None:
    """Derivatives by thresholds to those by log distances: tau_k = sum of exp(delta_l), l <= k.

    The term of second order in the gradient is left out: the result stays positive definite.
    """
    m = size + extras
    for a in range(size, m):  # the lower triangle holds all pairs: sums from the end first over rows ...
        for b in range(a + 1, m):
            h[a, b] = h[b, a]
    for k in range(m - 2, size - 1, -1):
        g[k] += g[k + 1]
        for b in range(m):
            h[k, b] += h[k + 1, b]
    for k in range(m - 2, size - 1, -1):  # ... then over columns
        for a in range(size, m):
            h[a, k] += h[a, k + 1]
    for k in range(size, m):
        distance = math.exp(theta[k])
        g[k] *= distance
        for b in range(size):
            h[k, b] *= distance
        for b in range(size, m):
            h[k, b] *= distance * math.exp(theta[b])


@kernel
def spacing_derivatives(store: NDArray, row: NDArray, theta: NDArray, g: NDArray, h: NDArray) -> None:
    """What the gamma prior of the distances of thresholds adds, with the Jacobian of their logarithms."""
    size = row[NEWTON_SIZE]
    spacing = row[NEWTON_PRIOR] + 2 * size + 1
    for k in range(size, size + row[NEWTON_EXTRAS]):
        pull = store[spacing + 1] * math.exp(theta[k])
        g[k] += store[spacing] - pull
        h[k, k] += pull


@kernel
def log_t(z: float, m: int) -> float:
    """Log density of the proposal at squared distance z from its centre, up to what does not depend on z."""
    return -0.5 * (FREEDOM + m) * math.log1p(z / FREEDOM)


@kernel
def draw_newton(
    plan: Plan, store: NDArray, r: int, iteration: int, burn: int, rng: Generator, work: Work
) -> None:
    """Propose all parameters of the step at once, and accept or not; the reference point moves in burn-in only."""
    row = plan.newtons[r]
    size = row[NEWTON_SIZE]
    extras = row[NEWTON_EXTRAS]
    m = size + extras
    memory = row[NEWTON_MEMORY]
    reference = store[memory + NEWTON_HEAD : memory + NEWTON_HEAD + m]
    theta, g, proposal, jump = work.vectors[0], work.vectors[1], work.vectors[2], work.vectors[3]
    tau, centre, scratch = work.vectors[TAU], work.vectors[6], work.vectors[COLUMNS]
    read_parameters(plan, store, row, theta)
    if iteration == 0:
        for a in range(m):
            reference[a] = theta[a]
    if iteration == burn:
        store[memory + ACCEPTED] = 0.0
        store[memory + TRIED] = 0.0
    newton_derivatives(plan, store, row, reference, g, work.dense[0], work)
    factor = work.dense[1]
    if math.isnan(cholesky(work.dense[0], factor, m)):
        for a in range(m):
            reference[a] = theta[a] if iteration < burn else reference[a]
        return
    solve_lower(factor, g, jump, m)
    solve_upper(factor, jump, jump, m)
    limit = 1.0
    for a in range(m):
        limit = max(limit, abs(jump[a]) / 3.0)
    for a in range(m):
        centre[a] = reference[a] + jump[a] / limit
        jump[a] = rng.standard_normal()
    stretch = math.sqrt(FREEDOM / (2.0 * rng.standard_gamma(0.5 * FREEDOM)))
    z_new = 0.0
    for a in range(m):
        jump[a] *= stretch
        z_new += jump[a] * jump[a]
    solve_upper(factor, jump, jump, m)
    for a in range(m):
        proposal[a] = centre[a] + jump[a]
    z_old = 0.0
    for b in range(m):  # |L'(theta - centre)|^2
        s = 0.0
        for a in range(b, m):
            s += factor[a, b] * (theta[a] - centre[a])
        z_old += s * s
    ratio = newton_value(plan, store, row, proposal, tau, scratch) - log_t(z_new, m)
    ratio -= newton_value(plan, store, row, theta, tau, scratch) - log_t(z_old, m)
    store[memory + TRIED] += 1.0
    if math.log(rng.random()) < ratio:
        store[memory + ACCEPTED] += 1.0
        for a in range(m):
            theta[a] = proposal[a]
        write_parameters(plan, store, row, theta)
    if iteration < burn:
        learn(store, memory, reference, theta, centre, m, iteration, burn)


@kernel
def learn(
    store: NDArray,
    memory: int,
    reference: NDArray,
    theta: NDArray,
    centre: NDArray,
    m: int,
    iteration: int,
    burn: int,
) -> None:
    """Move the reference point: first by its own Newton steps, then to the mean of the draws."""
    if iteration < SEARCH:
        for a in range(m):
            reference[a] = centre[a]
        return
    if iteration < burn // 2:
        store[memory + SEEN] = min(store[memory + SEEN] + 1.0, FORGET)
    else:
        store[memory + SEEN] += 1.0
    for a in range(m):
        reference[a] += (theta[a] - reference[a]) / (store[memory + SEEN] + 1.0)


@kernel
def read_parameters(plan: Plan, store: NDArray, row: NDArray, theta: NDArray) -> None:
    """Coefficients, then log distances of thresholds or the log dispersion, from the store."""
    size = row[NEWTON_SIZE]
    for j in range(size):
        theta[j] = store[plan.index[row[NEWTON_VALUES] + j]]
    extra = row[NEWTON_EXTRA]
    for k in range(row[NEWTON_EXTRAS]):
        if row[NEWTON_FAMILY] == NEWTON_COUNT:
            theta[size] = math.log(store[extra])
        else:
            theta[size + k] = math.log(store[extra + k + 1] - store[extra + k])


@kernel
def write_parameters(plan: Plan, store: NDArray, row: NDArray, theta: NDArray) -> None:
    """The same back into the store."""
    size = row[NEWTON_SIZE]
    for j in range(size):
        store[plan.index[row[NEWTON_VALUES] + j]] = theta[j]
    extra = row[NEWTON_EXTRA]
    for k in range(row[NEWTON_EXTRAS]):
        if row[NEWTON_FAMILY] == NEWTON_COUNT:
            store[extra] = math.exp(theta[size])
        else:
            store[extra + k + 1] = store[extra + k] + math.exp(theta[size + k])
