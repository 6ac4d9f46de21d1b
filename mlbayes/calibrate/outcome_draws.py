"""Outcomes and latent variables drawn from their equations, with numpy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from scipy import stats

from mlbayes.calibrate.world import LARGEST, Unusable, Vector, World, categories, labels_of, occasions
from mlbayes.data.functions import inverse_yeo_johnson
from mlbayes.model.expressions import Constant, Expression, Form, Operation, Reference, references
from mlbayes.model.model import Distribution


def draw_outcomes(world: World, rng: Generator) -> None:
    """Draw outcomes and latent variables given parameters, effects and predictors.  Raises Unusable."""
    _Outcomes(world, rng).draw()


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
        values = _invert(self.world, equation.left, left, equation.level)
        again = World(self.model, data={**self.world.data, equation.outcome: values})
        if not np.allclose(again.evaluate(equation.left, equation.level), left, rtol=1e-6, atol=1e-8):
            raise Unusable
        return values


def _invert(world: World, expression: Expression, values: Vector, level: int) -> Vector:
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
    return _invert(world, inside, values, level)
