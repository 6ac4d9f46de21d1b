"""Metropolis steps on variances and covariance matrices with everything else of their block integrated out.

The target is the exact marginal density that the elimination yields.  Parameters are the elements of
Cholesky factors on their natural scale, logarithms of variances, standard deviations of latent variables
(which may be close to zero), and coefficients (loadings) that multiply unknowns of the block.  Where a
standard deviation is close to zero its correlations are all but free: if it comes first in a matrix, the
factor's second row lies near a circle, which no t distribution suits, but if it comes last, near 0.  So
matrices of latent variables have a step for each of the two orders.  During the
first half of burn-in a random walk explores; from then on proposals come from a t distribution whose centre
and scale are those of earlier draws, learned in burn-in and then frozen.  Diagonal elements close to zero
are proposed on both sides of it and folded, so the proposal density sums over the signs.

Memory of a step with d parameters, at its store offset: the fields below, then mean (d), Cholesky factor
of the covariance (d x d), running mean (d), running sum of squares (d x d).
"""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.elimination import eliminate, top_quadratic
from mlbayes.engine.jit import kernel
from mlbayes.engine.linalg import cholesky, packed
from mlbayes.engine.steps.covariances import log_prior_factor, log_separate
from mlbayes.engine.steps.residual_covariances import reverse_factor, write_covariance, write_reversed
from mlbayes.engine.steps.separate import read_parts, write_parts
from mlbayes.plan.plan import (
    COLLAPSED_BLOCK,
    COLLAPSED_FIRST,
    COLLAPSED_HEAD,
    COLLAPSED_LAST,
    COLLAPSED_MEMORY,
    COLLAPSED_REPEATS,
    COLLAPSED_SIZE,
    COVARIANCE_FACTOR,
    COVARIANCE_FREE,
    COVARIANCE_SIZE,
    GROUP_DF,
    GROUP_FACTOR,
    GROUP_SIZE,
    THETA_COEFFICIENT,
    THETA_COVARIANCE,
    THETA_GROUP,
    THETA_KIND,
    THETA_PARTS,
    THETA_PRIOR,
    THETA_REVERSED,
    THETA_SD,
    THETA_SIZE,
    THETA_TARGET,
    THETA_VARIANCE,
    VARIANCE_COUNT,
    VARIANCE_PRECISION,
    VARIANCE_PRIOR,
    Plan,
    Work,
)

LEARNED = 0  # 1 once mean and factor hold something
ACCEPTED = 1  # since the proposal was last learned; after burn-in: of the kept draws
TRIED = 2
COUNT = 3  # draws in the running moments
WALK = 4  # 1 when independence proposals were accepted too rarely
MEAN = COLLAPSED_HEAD
FREEDOM = 6.0  # degrees of freedom of the proposals
FOLD_BELOW = 5.0  # a diagonal element is folded when its mean is below so many standard deviations
WIDEN = 1.1  # proposals have this multiple of the learned covariance
ENOUGH = 0.1  # least acceptance rate of independence proposals


@kernel
def read_parameters(plan: Plan, store: NDArray, step: NDArray, theta: NDArray, work: Work) -> None:
    """Theta from the factors, precisions and coefficients in the store."""
    at = 0
    for k in range(step[COLLAPSED_FIRST], step[COLLAPSED_LAST]):
        row = plan.thetas[k]
        target = row[THETA_TARGET]
        if row[THETA_KIND] == THETA_VARIANCE:
            theta[at] = -math.log(store[plan.variances[target, VARIANCE_PRECISION]])
        elif row[THETA_KIND] == THETA_SD:
            theta[at] = 1.0 / math.sqrt(store[plan.variances[target, VARIANCE_PRECISION]])
        elif row[THETA_KIND] == THETA_PARTS:
            read_parts(plan, store, plan.covariances[target], theta[at : at + row[THETA_SIZE]])
        elif row[THETA_KIND] == THETA_REVERSED:
            factor = store[plan.covariances[target, COVARIANCE_FACTOR] :]
            size = plan.covariances[target, COVARIANCE_SIZE]
            reverse_factor(factor, size, theta[at : at + row[THETA_SIZE]], work)
        else:
            offset = target
            if row[THETA_KIND] == THETA_GROUP:
                offset = plan.groups[target, GROUP_FACTOR]
            elif row[THETA_KIND] == THETA_COVARIANCE:
                offset = plan.covariances[target, COVARIANCE_FACTOR]
            for e in range(row[THETA_SIZE]):
                theta[at + e] = store[offset + e]
        at += row[THETA_SIZE]


@kernel
def write_coefficient(store: NDArray, row: NDArray, value: float) -> float:
    """A coefficient in the store; returns its log prior, -inf outside of its bounds."""
    store[row[THETA_TARGET]] = value
    prior = row[THETA_PRIOR]
    if not store[prior + 2] <= value <= store[prior + 3]:
        return -math.inf
    return -0.5 * store[prior] * (value - store[prior + 1]) ** 2


@kernel
def write_variance(store: NDArray, variance: NDArray, value: float) -> float:
    """A precision in the store from a log variance; returns log prior + n/2 log precision.

    An inverse gamma density of x is x^-a exp(-b / x) on log x.
    """
    precision = math.exp(-value)
    store[variance[VARIANCE_PRECISION]] = precision
    prior = variance[VARIANCE_PRIOR]
    return -store[prior] * value - store[prior + 1] * precision - 0.5 * variance[VARIANCE_COUNT] * value


@kernel
def write_parameters(plan: Plan, store: NDArray, step: NDArray, theta: NDArray, work: Work) -> float:
    """Put theta into the store; returns log prior + the powers of precisions in the likelihood."""
    at = 0
    log_density = 0.0
    for k in range(step[COLLAPSED_FIRST], step[COLLAPSED_LAST]):
        row = plan.thetas[k]
        target = row[THETA_TARGET]
        values = theta[at : at + row[THETA_SIZE]]
        if row[THETA_KIND] == THETA_VARIANCE:
            log_density += write_variance(store, plan.variances[target], values[0])
        elif row[THETA_KIND] == THETA_SD:
            # d log(x) = 2 dl / l for a standard deviation l, whose sign does not matter
            size = math.log(abs(values[0]))
            log_density += write_variance(store, plan.variances[target], 2.0 * size) - size
        elif row[THETA_KIND] == THETA_COEFFICIENT:
            log_density += write_coefficient(store, row, values[0])
        elif row[THETA_KIND] == THETA_PARTS:
            log_density += write_parts(plan, store, plan.covariances[target], values, work)
        elif row[THETA_KIND] == THETA_COVARIANCE:
            log_density += write_covariance(store, plan.covariances[target], values, work)
        elif row[THETA_KIND] == THETA_REVERSED:
            log_density += write_reversed(store, plan.covariances[target], values, work)
        else:
            group = plan.groups[target]
            for e in range(row[THETA_SIZE]):
                store[group[GROUP_FACTOR] + e] = values[e]
            prior = group[GROUP_DF]
            log_density += log_prior_factor(
                store[prior], store[prior + 1], group[GROUP_SIZE], values, work.vectors[7]
            )
            log_density += log_separate(store, prior, group[GROUP_SIZE], values)
        at += row[THETA_SIZE]
    return log_density


@kernel
def log_marginal(plan: Plan, store: NDArray, step: NDArray, theta: NDArray, work: Work) -> float:
    """Log density of theta with the block's unknowns integrated out; -inf where it cannot be computed."""
    log_density = write_parameters(plan, store, step, theta, work)
    if log_density == -math.inf:
        return -math.inf
    b = step[COLLAPSED_BLOCK]
    log_determinant = eliminate(plan, store, b, False, work)
    if math.isnan(log_determinant):
        return -math.inf
    value = log_density - 0.5 * (log_determinant + top_quadratic(plan, store, b, work))
    return -math.inf if math.isnan(value) else value


@kernel
def mark_diagonal(plan: Plan, step: NDArray, marks: NDArray) -> None:
    """marks[i] = 1 where parameter i is a diagonal element of a factor."""
    at = 0
    for i in range(step[COLLAPSED_SIZE]):
        marks[i] = 0.0
    for k in range(step[COLLAPSED_FIRST], step[COLLAPSED_LAST]):
        row = plan.thetas[k]
        p = 0
        if row[THETA_KIND] == THETA_GROUP:
            p = plan.groups[row[THETA_TARGET], GROUP_SIZE]
        elif row[THETA_KIND] == THETA_COVARIANCE or row[THETA_KIND] == THETA_REVERSED:
            p = plan.covariances[row[THETA_TARGET], COVARIANCE_SIZE]
        elif row[THETA_KIND] == THETA_SD:
            p = 1
        elif row[THETA_KIND] == THETA_PARTS:  # standard deviations come first
            for i in range(plan.index[plan.covariances[row[THETA_TARGET], COVARIANCE_FREE]]):
                marks[at + i] = 1.0
        for i in range(p):
            marks[at + packed(i, i)] = 1.0
        at += row[THETA_SIZE]


@kernel
def log_proposal(memory: NDArray, d: int, theta: NDArray, marks: NDArray, work: Work) -> float:
    """Log density (up to a constant) of the t proposal at theta, summed over the signs of folded elements."""
    mean = memory[MEAN : MEAN + d]
    factor = memory[MEAN + d : MEAN + d + d * d].reshape((d, d))
    x = work.vectors[4]
    patterns = 1
    for i in range(d):
        if marks[i] == 2.0:
            patterns *= 2
    top = -math.inf
    s = 0.0
    for pattern in range(patterns):
        bits = pattern
        for i in range(d):
            value = theta[i]
            if marks[i] == 2.0:
                if bits % 2 == 1:
                    value = -value
                bits //= 2
            x[i] = value - mean[i]
        q = 0.0
        for i in range(d):
            for k in range(i):
                x[i] -= factor[i, k] * x[k]
            x[i] /= factor[i, i]
            q += x[i] * x[i]
        value = -0.5 * (FREEDOM + d) * math.log(1.0 + q / FREEDOM)
        if value > top:
            s = s * math.exp(top - value) + 1.0 if top > -math.inf else 1.0
            top = value
        else:
            s += math.exp(value - top)
    return top + math.log(s)


@kernel
def fold_marks(memory: NDArray, d: int, marks: NDArray) -> None:
    """marks[i] = 2 for the diagonal elements whose proposals reach across zero."""
    for i in range(d):
        if marks[i] > 0.0:
            sd2 = 0.0
            for k in range(i + 1):
                sd2 += memory[MEAN + d + i * d + k] ** 2
            marks[i] = 2.0 if memory[MEAN + i] < FOLD_BELOW * math.sqrt(sd2) else 1.0


@kernel
def propose_walk(
    memory: NDArray, d: int, theta: NDArray, new: NDArray, marks: NDArray, rng: Generator, work: Work
) -> None:
    """A random-walk proposal; a diagonal element starts from either of its signs, so that folding is symmetric."""
    z = work.vectors[5]
    for i in range(d):
        z[i] = rng.standard_normal()
    scale = 2.4 / math.sqrt(d)
    for i in range(d):
        value = theta[i]
        if marks[i] > 0.0 and rng.random() < 0.5:
            value = -value
        if memory[LEARNED] > 0.0:
            for k in range(i + 1):
                value += scale * memory[MEAN + d + i * d + k] * z[k]
        else:
            value += 0.1 * z[i] * (max(abs(theta[i]), 0.05) if marks[i] > 0.0 else 1.0)
        new[i] = abs(value) if marks[i] > 0.0 else value


@kernel
def propose_independent(
    memory: NDArray, d: int, new: NDArray, marks: NDArray, rng: Generator, work: Work
) -> bool:
    """A proposal from the learned t distribution; False when a diagonal element that is not folded is negative."""
    z = work.vectors[5]
    stretch = math.sqrt(FREEDOM / (2.0 * rng.standard_gamma(0.5 * FREEDOM)))
    for i in range(d):
        z[i] = stretch * rng.standard_normal()
    valid = True
    for i in range(d):
        value = memory[MEAN + i]
        for k in range(i + 1):
            value += memory[MEAN + d + i * d + k] * z[k]
        if marks[i] == 2.0:
            value = abs(value)
        elif marks[i] == 1.0 and not value > 0.0:
            valid = False
        new[i] = value
    return valid


@kernel
def observe(memory: NDArray, d: int, theta: NDArray) -> None:
    """Add theta to the running moments (Welford)."""
    memory[COUNT] += 1.0
    n = memory[COUNT]
    mean = MEAN + d + d * d
    squares = mean + d
    for i in range(d):
        delta = theta[i] - memory[mean + i]
        for k in range(i):  # the mean of k has been updated already, as Welford's rule wants it
            memory[squares + i * d + k] += delta * (theta[k] - memory[mean + k])
        memory[squares + i * d + i] += delta * delta * (n - 1.0) / n
        memory[mean + i] += delta / n


@kernel
def learn(memory: NDArray, d: int, reset: bool, work: Work) -> None:
    """Take the running moments as the new proposal if there are enough draws; start afresh when `reset`."""
    n = memory[COUNT]
    mean = MEAN + d + d * d
    squares = mean + d
    if n >= 10.0 * d + 20.0:
        a = work.dense[0]
        for i in range(d):
            for k in range(i + 1):
                a[i, k] = WIDEN * memory[squares + i * d + k] / (n - 1.0)
        if not math.isnan(cholesky(a, work.dense[1], d)):
            for i in range(d):
                memory[MEAN + i] = memory[mean + i]
                for k in range(i + 1):
                    memory[MEAN + d + i * d + k] = work.dense[1][i, k]
            memory[LEARNED] = 1.0
    if reset:
        memory[COUNT] = 0.0
        for i in range(d + d * d):
            memory[mean + i] = 0.0
    memory[ACCEPTED] = 0.0
    memory[TRIED] = 0.0


@kernel
def adapt(memory: NDArray, d: int, iteration: int, burn: int, theta: NDArray, work: Work) -> None:
    """Learn the proposal at fixed shares of burn-in; at its end decide whether it is good enough."""
    if iteration >= burn:
        if iteration == burn:
            rate = memory[ACCEPTED] / max(memory[TRIED], 1.0)
            memory[WALK] = 1.0 if memory[LEARNED] == 0.0 or rate < ENOUGH else 0.0
            learn(memory, d, True, work)
        return
    for share in (32, 16, 8, 4, 2):
        if iteration == burn // share:
            learn(memory, d, True, work)
    if iteration == burn // 4 * 3:
        learn(memory, d, False, work)
    if iteration == burn - burn // 8:
        learn(memory, d, False, work)
    observe(memory, d, theta)


@kernel
def draw_collapsed(
    plan: Plan, store: NDArray, s: int, iteration: int, burn: int, rng: Generator, work: Work
) -> None:
    """Move the variances and covariance matrices of a block; its unknowns must be redrawn right after."""
    step = plan.collapsed[s]
    d = step[COLLAPSED_SIZE]
    memory = store[step[COLLAPSED_MEMORY] :]
    if iteration >= burn and memory[LEARNED] == 0.0:
        return  # the first walk, with steps in proportion to theta, is for burn-in only
    theta = work.vectors[1]
    new = work.vectors[2]
    marks = work.vectors[3]
    read_parameters(plan, store, step, theta, work)
    mark_diagonal(plan, step, marks)
    adapt(memory, d, iteration, burn, theta, work)
    walk = iteration < burn // 2 or memory[LEARNED] == 0.0
    walk = walk or (iteration >= burn and memory[WALK] == 1.0)
    if not walk:
        fold_marks(memory, d, marks)
    current = log_marginal(plan, store, step, theta, work)
    for _ in range(step[COLLAPSED_REPEATS]):
        ratio = -math.inf
        proposed = -math.inf
        if walk:
            propose_walk(memory, d, theta, new, marks, rng, work)
            proposed = log_marginal(plan, store, step, new, work)
            ratio = proposed - current
        elif propose_independent(memory, d, new, marks, rng, work):
            proposed = log_marginal(plan, store, step, new, work)
            ratio = proposed - current
            ratio += log_proposal(memory, d, theta, marks, work) - log_proposal(memory, d, new, marks, work)
        memory[TRIED] += 1.0
        if math.log(rng.random()) < ratio:
            memory[ACCEPTED] += 1.0
            current = proposed
            for i in range(d):
                theta[i] = new[i]
    write_parameters(plan, store, step, theta, work)
