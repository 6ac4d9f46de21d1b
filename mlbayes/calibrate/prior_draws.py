"""Parameters, covariance matrices and random effects drawn from their priors, with numpy alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from scipy import stats
from scipy.special import gammaln

from mlbayes.calibrate.world import Unusable, Vector, World, block_of, has_parts, random_groups
from mlbayes.model.expressions import Expression, ParameterReference, leaves
from mlbayes.model.heterogeneity import varies_between_clusters
from mlbayes.model.model import Distribution, Equation, Family, Kind, Model, Prior, RandomEffects, Role

PREDICTOR_VARIANCE = (1.0, 0.5)  # inverse gamma
DISPERSION = 10.0  # prior variance of a log dispersion
GRID = np.linspace(-6.0, 4.0, 4001)  # of the log of an index of heterogeneity, around its prior mean


def draw_prior(prior: Prior, rng: Generator) -> float:
    """A draw from a proper prior of one number."""
    a, b = prior.arguments
    match prior.family:
        case Family.NORMAL:
            return float(a + math.sqrt(b) * rng.standard_normal())
        case Family.TRUNCATED:
            return float(rng.uniform(a, b))
        case Family.INVERSE_GAMMA:
            return float(b / rng.standard_gamma(a))
        case Family.INVERSE_WISHART:
            return float(0.5 * b / rng.standard_gamma(0.5 * a))
    raise AssertionError(f"a {prior.family.value} prior cannot be drawn from")


def draw_matrix(prior: Prior, size: int, rng: Generator) -> Vector:
    """A draw from an inverse Wishart prior, shape (size, size)."""
    df, scale = prior.arguments
    return np.atleast_2d(stats.invwishart.rvs(df, scale * np.eye(size), random_state=rng))


def draw_correlations(size: int, fixed: dict[tuple[int, int], float], rng: Generator) -> Vector:
    """A correlation matrix from the uniform law over all positive definite ones, some elements fixed."""
    rows, columns = np.tril_indices(size, -1)
    for _ in range(100_000):
        matrix = np.eye(size)
        values = rng.uniform(-1.0, 1.0, rows.size)
        for place, (i, j) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
            values[place] = fixed.get((j, i), values[place])
        matrix[rows, columns] = matrix[columns, rows] = values
        if np.linalg.eigvalsh(matrix)[0] > 0.0:
            return matrix
    raise Unusable


def draw_parameters(world: World, rng: Generator) -> None:
    """Coefficients, residual variances, thresholds, dispersions, powers, populations of variances."""
    model = world.model
    for k, equation in enumerate(model.equations):
        for term in equation.terms:
            _draw_parameter(world, term.coefficient, rng)
            for leaf in _parameter_names(term.expression):
                _draw_parameter(world, leaf, rng)
        if equation.distribution is Distribution.YEO_JOHNSON:
            _draw_parameter(world, f"{equation.title} lambda", rng)
        if equation.distribution is Distribution.NEGATIVE_BINOMIAL:
            world.dispersions[k] = math.exp(math.sqrt(DISPERSION) * rng.standard_normal())
        if varies_between_clusters(model, equation):
            world.populations[k] = _draw_population(model, rng)
            centre, index = world.populations[k]
            x = 0.5 / index
            world.cluster_variances[k] = x * centre / rng.standard_gamma(x, world.units(2))
        elif equation.residual is not None and _own_variance(model, equation):
            _draw_parameter(world, equation.residual, rng)
    for name, variable in model.variables.items():
        if variable.kind is Kind.ORDINAL and variable.role in (Role.OUTCOME, Role.PREDICTOR):
            shape, rate = model.further.spacing
            steps = rng.standard_gamma(shape, max(len(variable.codes) - 2, 0)) / (rate or 1.0)
            world.cuts[name] = np.concatenate([[0.0], np.cumsum(steps)])


def _own_variance(model: Model, equation: Equation) -> bool:
    """Does a residual variance have a prior of its own, and not that of a matrix."""
    block = block_of(model, equation.outcome)
    return block is None or has_parts(model, block)


def _parameter_names(expression: Expression) -> list[str]:
    return [leaf.name for leaf in leaves(expression) if isinstance(leaf, ParameterReference)]


def _draw_parameter(world: World, name: str, rng: Generator) -> None:
    """A free parameter, once, with those that its definition needs."""
    parameter = world.model.parameters.get(name)
    if parameter is None:
        quantity = next(q for q in world.model.generated if q.name == name)
        for other in _parameter_names(quantity.expression):
            _draw_parameter(world, other, rng)
    elif parameter.definition is not None:
        for other in _parameter_names(parameter.definition):
            _draw_parameter(world, other, rng)
    elif parameter.fixed is None and name not in world.parameters:
        world.parameters[name] = draw_prior(parameter.prior, rng)


def _draw_population(model: Model, rng: Generator) -> tuple[float, float]:
    """Centre and index of the variances of clusters.

    The sampler takes the gamma function of the population's density by Stirling's formula.  That is the exact density
    times (Gamma(x) / Stirling(x))^J, J clusters and x = 1 / (2 index): one more factor of the prior of the index.
    """
    precision, mean, index_precision, index_mean = model.further.population
    logs = index_mean + GRID
    x = 0.5 * np.exp(-logs)
    stirling = 0.5 * np.log(2.0 * np.pi / x) + x * np.log(x) - x
    density = -0.5 * index_precision * GRID**2 + model.hierarchy.units[1] * (gammaln(x) - stirling)
    shares = np.cumsum(np.exp(density - density.max()))
    place = np.interp(rng.random() * shares[-1], shares, np.arange(GRID.size))
    index = math.exp(float(np.interp(place, np.arange(GRID.size), logs)))
    centre = math.exp(mean + rng.standard_normal() / math.sqrt(precision))
    return centre, index


def draw_matrices(world: World, rng: Generator) -> None:
    """Covariance matrices of random effects and of residuals (`~~`)."""
    model = world.model
    for key, group in random_groups(model):
        world.matrices[key] = _effect_matrix(model, group, rng)
    for b, block in enumerate(model.covariances):
        size = len(block.members)
        if not has_parts(model, b):
            world.covariances[b] = draw_matrix(block.prior, size, rng)
            continue
        variances = [block_variance(world, name) for name in block.members]
        world.covariances[b] = _correlations_of(world, b, rng) * np.sqrt(np.outer(variances, variances))


def block_variance(world: World, outcome: str) -> float:
    """The residual variance of a member of a block with parts; that of a latent response or a divided residual is 1."""
    equation = next(
        e
        for e in world.model.equations
        if e.outcome == outcome and e.distribution is not Distribution.LOG_VARIANCE
    )
    return 1.0 if equation.residual is None else world.coefficient(equation.residual)


def _correlations_of(world: World, b: int, rng: Generator) -> Vector:
    """Correlations of a block with parts: uniform given that the matrix is positive definite, equal ones as one."""
    block, model = world.model.covariances[b], world.model
    size = len(block.members)
    fixed = {
        pair: value
        for pair, name in block.correlations.items()
        if (value := model.parameters[name].fixed) is not None
    }
    names = [n for n in block.correlations.values() if model.parameters[n].fixed is None]
    if len(set(names)) == len(names):
        return draw_correlations(size, fixed, rng)
    for _ in range(100_000):
        equal = {name: rng.uniform(-1.0, 1.0) for name in dict.fromkeys(names)}
        pairs = {pair: equal[name] for pair, name in block.correlations.items() if name in equal}
        matrix = np.eye(size)
        for i in range(size):
            for j in range(i):
                value = (fixed | pairs).get((j, i))
                matrix[i, j] = matrix[j, i] = rng.uniform(-1.0, 1.0) if value is None else value
        if np.linalg.eigvalsh(matrix)[0] > 0.0:
            return matrix
    raise Unusable


def _effect_matrix(model: Model, group: RandomEffects, rng: Generator) -> Vector:
    size = len(group.terms)
    if group.variance is not None:
        own = model.parameters[group.variance]
        if own.fixed is not None:
            return np.array([[own.fixed]])
        return np.array([[draw_prior(own.prior, rng)]])
    if size > 1 and "use_phantom" in model.settings.options:
        variances = [draw_prior(Prior(Family.INVERSE_GAMMA, PREDICTOR_VARIANCE), rng) for _ in range(size)]
        return draw_correlations(size, {}, rng) * np.sqrt(np.outer(variances, variances))
    return draw_matrix(group.prior, size, rng)


def draw_effects(world: World, rng: Generator) -> None:
    """Random effects given their covariance matrices."""
    for key, group in random_groups(world.model):
        root = np.linalg.cholesky(world.matrices[key])
        world.effects[key] = root @ rng.standard_normal((len(group.terms), world.units(group.level)))
