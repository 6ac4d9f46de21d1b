"""An outcome and its missingness together: density with the missing values integrated out, and their law."""

from __future__ import annotations

import numpy as np
import pytest
from rates import ALPHA
from scipy import integrate, stats
from toys import Running, at_step, generator, holed, plan_of, steps_of, two_level, vector

from mlbayes.engine.steps import selection
from mlbayes.plan import plan as p

HEAD = "DATA: t; MISSING: NA; FIXED: x z; "
SCRIPTS = {
    "one level": HEAD + "MODEL: y ~ x z; y.missing ~ y x;",
    "clusters": HEAD + "CLUSTERID: g; MODEL: y ~ x z | x; y.missing ~ y z;",
    "priors": HEAD + "OPTIONS: prior1; MODEL: y ~ x@l1 z@0.2; y.missing ~ y@l2 x@l3;"
    "PARAMETERS: l1 ~ normal(1, 2); l2 ~ normal(0.3, 0.5);",
}


def selection_data():
    columns = two_level(5)
    y = columns["y"]
    rng = generator(41)
    columns["y"] = np.where(
        stats.norm.cdf(0.6 * (y - y.mean()) / y.std() - 0.4) > rng.random(y.size), np.nan, y
    )
    return columns


PLANS = {name: plan_of(text, selection_data()) for name, text in SCRIPTS.items()}


class Step:
    """A chain right before the step, with its tables."""

    def __init__(self, planned) -> None:
        self.planned = planned
        (self.number,) = steps_of(planned, p.STEP_SELECTION)
        self.running: Running = at_step(planned, self.number)
        self.row = planned.plan.selections[planned.plan.steps[self.number, 1]]
        self.size = int(self.row[p.SELECTION_SIZE])
        index, values = planned.plan.index, self.row[p.SELECTION_VALUES]
        self.places = index[values : values + self.size]
        self.own, self.missingness = planned.regressions.outcomes

    @property
    def theta(self) -> np.ndarray:
        store = self.running.store
        return np.append(store[self.places], -0.5 * np.log(store[self.own.precision]))

    def value(self, theta: np.ndarray) -> float:
        return selection.selection_density(self.planned.plan, self.running.store, self.row, theta)

    def put(self, theta: np.ndarray) -> None:
        self.running.store[self.places] = theta[:-1]
        self.running.store[self.own.precision] = np.exp(-2.0 * theta[-1])

    def read(self, atom) -> np.ndarray:
        return vector(self.planned, self.running.store, atom)

    def predictor(self, r, without: str = "") -> np.ndarray:
        """Linear predictor from the model graph; `without`: a predictor that is left out."""
        model, data = self.planned.model, self.planned.model.variables
        total = np.zeros(r.active.size)
        for t, term in enumerate(r.equation.terms):
            name = "" if term.label == "Intercept" else term.label
            x = self.read(self.planned.symbols.value(name)) if name else np.ones(total.size)
            parameter = model.parameters[term.coefficient]
            b = parameter.fixed
            if b is None:
                b = self.read(next(iter(r.coefficients[t].atoms())))[0]
            if name != without or not name:
                total = total + b * x
            for group in r.equation.random:
                if t in group.terms:
                    effect = self.read(r.effect(group.level, t))
                    total = total + effect[model.hierarchy.ancestors(1, group.level)] * x
        assert set(data) >= {"y", "y.missing"}
        return total

    def expected(self, theta: np.ndarray) -> float:
        """Log likelihood and priors, the missing values integrated out by quadrature."""
        self.put(theta)
        model = self.planned.model
        missing = model.variables["y"].missing
        sigma, gamma = np.exp(theta[-1]), theta[-2]
        m, a = self.predictor(self.own), self.predictor(self.missingness, "y")
        y = model.variables["y"].values
        total = stats.norm.logpdf(y[~missing], m[~missing], sigma).sum()
        total += stats.norm.logsf((a + gamma * y)[~missing]).sum()
        for i in np.flatnonzero(missing):

            def density(value, i=i):
                return stats.norm.pdf(value, m[i], sigma) * stats.norm.cdf(a[i] + gamma * value)

            total += np.log(integrate.quad(density, m[i] - 9 * sigma, m[i] + 9 * sigma, epsabs=1e-12)[0])
        for parameter, place in self.priors():
            if parameter.prior.family.value == "normal":
                mean, variance = parameter.prior.arguments
                total += stats.norm.logpdf(theta[place], mean, np.sqrt(variance))
        residual = model.parameters[self.own.equation.residual].prior
        a0, b0 = residual.arguments if residual.arguments else (-1.0, 0.0)
        return total - 2.0 * a0 * theta[-1] - b0 / sigma**2

    def priors(self):
        for r in (self.own, self.missingness):
            for t, term in enumerate(r.equation.terms):
                for atom in r.coefficients[t].atoms():
                    place = list(self.places).index(self.planned.symbols.offset(atom))
                    yield self.planned.model.parameters[term.coefficient], place


@pytest.mark.parametrize("name", PLANS)
def test_density_is_that_of_the_model_with_missing_values_integrated_out(name):
    step = Step(PLANS[name])
    rng = generator(42)
    theta = step.theta
    points = [theta + 0.3 * rng.normal(size=theta.size) for _ in range(3)]
    found = [step.value(point) for point in points]
    expected = [step.expected(point) for point in points]
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-7, atol=1e-7)


def test_missing_values_are_drawn_given_that_they_are_missing():
    """Each draw's distribution function, by quadrature, is uniform."""
    step = Step(PLANS["clusters"])
    theta = step.theta
    theta[-2] = 1.2
    step.put(theta)
    sigma, gamma = np.exp(theta[-1]), theta[-2]
    m, a = step.predictor(step.own), step.predictor(step.missingness, "y")
    missing = step.planned.model.variables["y"].missing
    observed = step.read(step.own.outcome)[~missing].copy()
    rng, places = generator(43), []
    for _ in range(40):
        selection.draw_selected(step.planned.plan, step.running.store, step.row, theta, rng)
        y = step.read(step.own.outcome)
        for i in np.flatnonzero(missing)[:8]:
            grid = np.linspace(m[i] - 9 * sigma, m[i] + 9 * sigma, 4001)
            density = stats.norm.pdf(grid, m[i], sigma) * stats.norm.cdf(a[i] + gamma * grid)
            mass = integrate.cumulative_trapezoid(density, grid, initial=0.0)
            places.append(np.interp(y[i], grid, mass / mass[-1]))
    np.testing.assert_array_equal(step.read(step.own.outcome)[~missing], observed)
    assert stats.kstest(places, "uniform").pvalue > ALPHA


@pytest.mark.parametrize(
    "model",
    [
        "MODEL: y ~ x; y.missing ~ x;",
        "MODEL: y ~ x; z ~ y; y.missing ~ y;",
        "MODEL: y ~ x; y.missing ~ y*x;",
        "MODEL: y ~ x; y.missing ~ y@1;",
        "MODEL: y ~ x; z ~ x; y ~~ z; y.missing ~ y;",
        "MODEL: y ~ x; var(y) ~ x; y.missing ~ y;",
        "MODEL: y ~ x@l1; y.missing ~ y@l1;",
    ],
)
def test_other_models_do_without_the_step(model):
    columns = {**selection_data(), "z": holed(two_level, ("z",))["z"]}
    planned = plan_of("DATA: t; MISSING: NA; FIXED: x; " + model, columns)
    assert steps_of(planned, p.STEP_SELECTION) == []
