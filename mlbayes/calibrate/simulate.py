"""Draw everything that a model speaks of from its priors and equations, with numpy alone.

Data that nobody would analyse (numbers beyond any scale, a category that does not occur) are drawn again together
with their parameters.  Whether they are depends on the observed data alone, so given these nothing changes: the
parameters still are a draw from their posterior.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from scipy import stats
from scipy.special import gammaln

from mlbayes.calibrate.world import (
    Vector,
    World,
    block_of,
    categories,
    chain_predictors,
    has_parts,
    labels_of,
    occasions,
    predictor_chain,
    random_groups,
    response_names,
)
from mlbayes.data.functions import inverse_yeo_johnson
from mlbayes.model.expressions import (
    Constant,
    Expression,
    Form,
    Operation,
    ParameterReference,
    Reference,
    leaves,
    references,
)
from mlbayes.model.heterogeneity import varies_between_clusters
from mlbayes.model.model import Distribution, Equation, Family, Kind, Model, Prior, RandomEffects, Role

CATEGORICAL = 5.0  # prior variance of coefficients of latent responses of predictors
PREDICTOR_VARIANCE = (1.0, 0.5)  # inverse gamma
DISPERSION = 10.0  # prior variance of a log dispersion
LARGEST = 1e7  # of a value or count that can be used, in units of 1
TRIES = 1000
GRID = np.linspace(-6.0, 4.0, 4001)  # of the log of an index of heterogeneity, around its prior mean


class Unusable(Exception):
    """What was drawn cannot be used as data."""


def simulate(model: Model, rng: Generator) -> tuple[World, int]:
    """A draw of everything, and how many draws were thrown away before it.  Raises Unusable after TRIES of these."""
    for tries in range(TRIES):
        try:
            return simulate_once(model, rng), tries
        except Unusable:
            continue
    raise Unusable


def simulate_once(model: Model, rng: Generator) -> World:
    """A draw of everything.  Raises Unusable."""
    world = World(model)
    for name, variable in model.variables.items():
        if variable.role in (Role.FIXED, Role.UNUSED):
            world.data[name] = variable.values
    with np.errstate(over="ignore", invalid="ignore"):
        _draw_parameters(world, rng)
        _draw_matrices(world, rng)
        draw_data(world, rng)
    _check(world)
    return world


def draw_data(world: World, rng: Generator) -> None:
    """Draw effects, latent variables, predictors and outcomes given the parameters."""
    _draw_effects(world, rng)
    _draw_predictors(world, rng)
    _Outcomes(world, rng).draw()


def observed(world: World) -> Model:
    """The model with the drawn data in the place of its own, missing where these are missing."""
    variables = {
        name: replace(variable, values=np.where(variable.missing, np.nan, world.data[name]))
        if variable.role in (Role.OUTCOME, Role.PREDICTOR)
        else variable
        for name, variable in world.model.variables.items()
    }
    return replace(world.model, variables=variables)


def _check(world: World) -> None:
    """Raises Unusable for observed data that are not finite, beyond any scale, or lack a category."""
    for name, variable in world.model.variables.items():
        if variable.role not in (Role.OUTCOME, Role.PREDICTOR):
            continue
        seen = world.data[name][~variable.missing]
        if not np.isfinite(seen).all() or (seen.size and np.abs(seen).max() > LARGEST):
            raise Unusable
        if variable.kind in (Kind.ORDINAL, Kind.NOMINAL) and np.unique(seen).size < len(variable.codes):
            raise Unusable


# ------------------------------------------------------------------ parameters
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


def _draw_parameters(world: World, rng: Generator) -> None:
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


def _draw_matrices(world: World, rng: Generator) -> None:
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


def _draw_effects(world: World, rng: Generator) -> None:
    for key, group in random_groups(world.model):
        root = np.linalg.cholesky(world.matrices[key])
        world.effects[key] = root @ rng.standard_normal((len(group.terms), world.units(group.level)))


# ------------------------------------------------------------------ predictors
def _draw_predictors(world: World, rng: Generator) -> None:
    """Predictor models along the chain; the covariance matrices of continuous ones as what the chain is made of."""
    model = world.model
    chain = predictor_chain(model)
    joint = "joint" in model.settings.options
    for own in chain:
        categorical = model.variables[own.variable].kind is not Kind.CONTINUOUS
        for name in response_names(model, own.variable):
            for part in range(len(own.parts)):
                used, earlier = chain_predictors(model, own.variable, part)
                shrunk = earlier if joint and not (categorical and part == 0) else 0
                _draw_part(world, name, own.variable, part, len(used), shrunk, categorical, rng)
            if categorical:
                world.grand[name] = math.sqrt(CATEGORICAL) * rng.standard_normal()
            else:
                mean, variance = model.further.predictors[own.variable].grand
                world.grand[name] = mean + math.sqrt(variance) * rng.standard_normal()
    for own in chain:
        for part in reversed(range(len(own.parts))):
            _draw_level(world, own.variable, part, rng)


def _draw_part(
    world: World,
    name: str,
    variable: str,
    part: int,
    slopes: int,
    shrunk: int,
    categorical: bool,
    rng: Generator,
) -> None:
    """Slopes and residual variance of a part.

    In the joint normal model a residual variance v is IG((k + 1) / 2, 1 / 2) for the k-th predictor of the level and
    its slopes on the k - 1 before it are N(0, v).  Of a categorical predictor all slopes are N(0, 5); those that have
    both priors have their product.
    """
    while True:
        shape, scale = (1.0 + 0.5 * shrunk, 0.5) if shrunk else PREDICTOR_VARIANCE
        residual = 1.0 if categorical and part == 0 else scale / rng.standard_gamma(shape)
        values = rng.standard_normal(slopes)
        values[:shrunk] *= math.sqrt(residual)
        if categorical:
            values[shrunk:] *= math.sqrt(CATEGORICAL)
            if math.log(rng.random()) > -0.5 * float((values[:shrunk] ** 2).sum()) / CATEGORICAL:
                continue
        else:
            first = slopes - len(world.model.further.predictors[variable].slopes[part])
            values[first:] *= np.sqrt(world.model.further.predictors[variable].slopes[part])
        break
    world.slopes[name, part], world.residuals[name, part] = values, residual


def _draw_level(world: World, variable: str, part: int, rng: Generator) -> None:
    """Values of one part of a predictor: cluster means, or values and latent responses with their categories."""
    model = world.model
    own = next(m for m in model.predictor_models if m.variable == variable)
    level, kind = own.parts[part].level, model.variables[variable].kind
    names = response_names(model, variable)
    noise = rng.standard_normal((len(names), world.units(level)))
    if part == 0 and kind is Kind.NOMINAL:
        noise = np.linalg.cholesky(0.5 * (np.eye(len(names)) + 1.0)) @ noise
    for name, own_noise in zip(names, noise, strict=True):
        mean = world.predictor_mean(name, own, part)
        values = mean + math.sqrt(world.residuals[name, part]) * own_noise
        if part:
            world.means[name, level] = values
        elif kind is Kind.CONTINUOUS:
            world.data[name] = values
        else:
            world.responses[name] = values
    if part:
        return
    labels = labels_of(model.variables[variable])
    if kind is Kind.ORDINAL:
        world.data[variable] = labels[np.searchsorted(world.cuts[variable], world.responses[variable])]
    elif kind is Kind.NOMINAL:
        utilities = np.stack([np.zeros(world.units(level)), *(world.responses[name] for name in names)])
        world.data[variable] = labels[utilities.argmax(axis=0)]


# ------------------------------------------------------------------ outcomes
class _Outcomes:
    """Draws outcomes and latent variables, each after what its equation needs; with lags one occasion at a time."""

    def __init__(self, world: World, rng: Generator) -> None:
        self.world = world
        self.model = world.model
        self.rng = rng
        self.lagged = sorted({r.variable for r in self._all() if r.form is Form.LAG})
        self.noise: dict[str, Vector] = {}  # residuals of the members of blocks (`~~`)

    def _all(self) -> list[Reference]:
        return [r for e in self.model.equations for term in e.terms for r in references(term.expression)]

    def draw(self) -> None:
        """Draw all of them."""
        world = self.world
        for b, block in enumerate(self.model.covariances):
            root = np.linalg.cholesky(world.covariances[b])
            noise = root @ self.rng.standard_normal((len(block.members), world.units(block.level)))
            self.noise |= dict(zip(block.members, noise, strict=True))
        self._draw_before()
        order = self._order()
        timed = [k for k in order if self.lagged and self.model.equations[k].level == 1]
        for k in order:
            if k not in timed:
                self._value(k)
        if timed:
            self._draw_in_time(timed)

    def _draw_before(self) -> None:
        for name in self.lagged:
            mean, variance = self.model.further.first_values[name]
            order = max(r.argument for r in self._all() if r.form is Form.LAG and r.variable == name)
            noise = self.rng.standard_normal((mean.size, order))
            self.world.before[name] = mean[:, None] + np.sqrt(variance)[:, None] * noise
            if name not in self.world.data:
                self.world.data[name] = np.zeros(self.world.units(1))

    def _order(self) -> list[int]:
        """Equations such that each comes after those of its predictors; equations of variances have no values."""
        equations = self.model.equations
        left = [k for k, e in enumerate(equations) if e.distribution is not Distribution.LOG_VARIANCE]
        order: list[int] = []
        while left:
            waiting = {equations[k].outcome for k in left}
            free = [k for k in left if not self._needs(k) & (waiting - {equations[k].outcome})]
            assert free, "equations that need each other have no order"
            order += free
            left = [k for k in left if k not in free]
        return order

    def _needs(self, k: int) -> set[str]:
        """Outcomes that an equation and that of its variance need, lags apart."""
        own = self.model.equations[k]
        used = [own] + [
            e
            for e in self.model.equations
            if e.distribution is Distribution.LOG_VARIANCE and e.outcome == own.outcome
        ]
        return {
            r.variable
            for e in used
            for term in e.terms
            for r in references(term.expression)
            if r.form is not Form.LAG
        }

    def _draw_in_time(self, timed: Sequence[int]) -> None:
        """Rows occasion by occasion; each equation's noise is drawn once."""
        place = occasions(self.model)
        noise = {k: self._noise(k) for k in timed}
        for k in timed:
            outcome = self.model.equations[k].outcome
            self.world.data[outcome] = np.zeros(self.world.units(1))
            self.world.responses[outcome] = np.zeros(self.world.units(1))
        for t in range(int(place.max()) + 1):
            rows = place == t
            for k in timed:
                outcome = self.model.equations[k].outcome
                before, response = self.world.data[outcome], self.world.responses[outcome]
                self._value(k, noise[k])
                self.world.data[outcome] = np.where(rows, self.world.data[outcome], before)
                self.world.responses[outcome] = np.where(rows, self.world.responses[outcome], response)

    def _noise(self, k: int) -> Vector:
        """What is random in an equation given its linear predictors, shape (draws of a unit, units)."""
        equation, rng = self.model.equations[k], self.rng
        n = self.world.units(equation.level)
        if equation.outcome in self.noise:
            return self.noise[equation.outcome][None]
        match equation.distribution:
            case Distribution.LOGIT:
                return rng.logistic(size=(1, n))
            case Distribution.MULTINOMIAL:
                return rng.gumbel(size=(len(categories(equation)) + 1, n))
            case Distribution.NEGATIVE_BINOMIAL:
                return np.array([rng.standard_gamma(1.0 / self.world.dispersions[k], n), rng.random(n)])
            case _:
                return rng.standard_normal((1, n))

    def _value(self, k: int, noise: Vector | None = None) -> None:
        """Values of an outcome or latent variable."""
        world, equation = self.world, self.model.equations[k]
        noise = self._noise(k) if noise is None else noise
        variable = self.model.variables[equation.outcome]
        match equation.distribution:
            case Distribution.PROBIT | Distribution.LOGIT:
                response = world.fitted(k) + noise[0]
                world.responses[variable.name] = response
                cuts = world.cuts.get(variable.name, np.zeros(1))
                world.data[variable.name] = labels_of(variable)[np.searchsorted(cuts, response)]
            case Distribution.MULTINOMIAL:
                utilities = [np.zeros(noise.shape[1]), *(world.fitted(k, c) for c in categories(equation))]
                labels = np.array([variable.reference, *categories(equation)], dtype=np.float64)
                world.data[variable.name] = labels[(np.stack(utilities) + noise).argmax(axis=0)]
            case Distribution.NEGATIVE_BINOMIAL:
                mean = np.exp(world.fitted(k)) * noise[0] * world.dispersions[k]
                world.data[variable.name] = stats.poisson.ppf(noise[1], np.minimum(mean, 10.0 * LARGEST))
            case _:
                inside = equation.outcome in self.noise
                modelled = world.modelled_variance(k) if inside else world.variance(k)
                sd = 1.0 if modelled is None else np.sqrt(modelled)
                world.data[variable.name] = self._outcome(k, world.fitted(k) + sd * noise[0])

    def _outcome(self, k: int, left: Vector) -> Vector:
        """The outcome whose transform has a value."""
        equation = self.model.equations[k]
        if isinstance(equation.left, Reference) and equation.distribution is Distribution.NORMAL:
            return left
        if equation.distribution is Distribution.YEO_JOHNSON:
            power = np.full(left.size, self.world.parameters[f"{equation.title} lambda"])
            left = inverse_yeo_johnson(left, power)
        values = invert(self.world, equation.left, left, equation.level)
        again = World(self.model, data={**self.world.data, equation.outcome: values})
        if not np.allclose(again.evaluate(equation.left, equation.level), left, rtol=1e-6, atol=1e-8):
            raise Unusable
        return values


def invert(world: World, expression: Expression, values: Vector, level: int) -> Vector:
    """The variable of an expression such that it has these values; links that can be undone one by one."""
    if isinstance(expression, Reference):
        return values
    assert isinstance(expression, Operation)
    inside = next(a for a in expression.arguments if any(True for _ in references(a)))
    others = [a for a in expression.arguments if a is not inside]
    other = others[0].value if others and isinstance(others[0], Constant) else 0.0
    first = expression.arguments[0] is inside
    with np.errstate(all="ignore"):
        match expression.operator, first:
            case "+", _:
                values = values - other
            case "-", True:
                values = values + other if others else -values
            case "-", False:
                values = other - values
            case "*", _:
                values = values / other
            case "/", True:
                values = values * other
            case "neg", _:
                values = -values
            case (("ln" | "log"), _):
                values = np.exp(values)
            case "exp", _:
                values = np.log(values)
            case "sqrt", _:
                values = np.where(values >= 0.0, values**2, np.nan)
            case "^", True:
                values = np.sign(values) * np.abs(values) ** (1.0 / other)
            case _:
                raise Unusable
    return invert(world, inside, values, level)
