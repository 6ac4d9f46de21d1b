"""Coefficients, factors, thresholds and dispersions with responses integrated out: density, derivatives, law."""

from __future__ import annotations

from dataclasses import replace

import naive
import numpy as np
import pytest
from rates import ALPHA
from scipy import stats
from test_joint_density import values_of
from toys import Columns, Running, at_step, generator, plan_of, steps_of, two_level

from mlbayes.engine.steps import newton
from mlbayes.plan import plan as p

Array = np.ndarray


def categories(columns: Columns, cuts: tuple[float, ...], noise: str = "normal") -> Array:
    """Categories of a response that depends on x and on clusters, some missing."""
    rng = generator(21)
    g = columns["g"].astype(int)
    eta = 0.4 + 0.7 * columns["x"] + 0.8 * rng.normal(size=g.max() + 1)[g]
    y = np.searchsorted(cuts, eta + getattr(rng, noise)(size=g.size)).astype(float)
    y[rng.random(g.size) < 0.1] = np.nan
    return y


def counts(columns: Columns) -> Array:
    rng = generator(22)
    g = columns["g"].astype(int)
    eta = 0.5 + 0.4 * columns["x"] + 0.8 * rng.normal(size=g.max() + 1)[g]
    y = rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, g.size)).astype(float)
    y[rng.random(y.size) < 0.1] = np.nan
    return y


OUTCOMES = {
    "binary probit": ("ORDINAL: y;", "y", lambda c: categories(c, (0.0,))),
    "ordinal probit": ("ORDINAL: y;", "y", lambda c: categories(c, (0.0, 0.6, 1.4))),
    "binary logit": ("ORDINAL: y;", "logit(y)", lambda c: categories(c, (0.0,), "logistic")),
    "ordered logit": ("ORDINAL: y;", "logit(y)", lambda c: categories(c, (0.0, 0.9, 2.0), "logistic")),
    "negative binomial": ("COUNT: y;", "y", counts),
}
MODELS = {
    "one level": "FIXED: x z; MODEL: {left} ~ x z;",
    "intercepts": "CLUSTERID: g; FIXED: x w; MODEL: {left} ~ x w;",
    "slopes": "CLUSTERID: g; FIXED: x; OPTIONS: prior1; MODEL: {left} ~ x | x;",
}


def planned_for(outcome: str, model: str):
    declared, left, make = OUTCOMES[outcome]
    columns = two_level(7)
    columns["y"] = make(columns)
    return plan_of("DATA: t; MISSING: NA; " + declared + MODELS[model].format(left=left), columns)


PLANS = {(outcome, model): planned_for(outcome, model) for outcome in OUTCOMES for model in MODELS}
COLUMNS = two_level(7)
COVARYING = plan_of(
    "DATA: t; MISSING: NA; ORDINAL: y; FIXED: x z; MODEL: y ~ x z; m ~ x; y ~~ m;",
    COLUMNS | {"y": OUTCOMES["ordinal probit"][2](COLUMNS)},
)
ALL = {**PLANS, ("ordinal probit", "residual covariance"): COVARYING}


class Step:
    """A chain right before the step of one response."""

    def __init__(self, planned, sweeps: int = 3) -> None:
        self.planned = planned
        (self.number,) = steps_of(planned, p.STEP_NEWTON)
        self.running: Running = at_step(planned, self.number, sweeps=sweeps)
        self.row = planned.plan.newtons[planned.plan.steps[self.number, 1]]
        self.size = int(self.row[p.NEWTON_SIZE])
        self.length = self.size + int(self.row[p.NEWTON_EXTRAS])
        self.names = [r.equation.outcome for r in planned.regressions.outcomes]
        self.own = self.names.index("y")

    @property
    def store(self) -> Array:
        return self.running.store

    def read(self) -> Array:
        theta = np.zeros(self.length)
        newton.read_parameters(self.planned.plan, self.store, self.row, theta)
        return theta

    def value(self, theta: Array) -> float:
        tau, scratch = np.zeros(self.length + 4), np.zeros(self.length + 4)
        return newton.newton_value(self.planned.plan, self.store, self.row, theta, tau, scratch)

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """Gradient, and negative second derivatives as a symmetric matrix."""
        m = self.length
        g, h = np.zeros(m), np.zeros((m, m))
        newton.newton_derivatives(self.planned.plan, self.store, self.row, theta, g, h, self.running.work)
        lower = np.tril(h)
        return g, lower + np.tril(h, -1).T

    def proposals(self, count: int, spread: float = 0.3) -> list[Array]:
        """Parameters around the current ones, positive where they are on the diagonal of a Cholesky factor."""
        rng = generator(31)
        theta = self.read()
        found = [theta + spread * rng.normal(size=self.length) for _ in range(count)]
        for other in found:
            other[self.diagonal()] = np.abs(other[self.diagonal()]) + 0.1
        return found

    def groups(self) -> list[tuple[int, int, float, float]]:
        """First coefficient, size and prior of each Cholesky factor."""
        index, at = self.planned.plan.index, self.row[p.NEWTON_GROUPS]
        found = []
        for k in range(index[at]):
            first, size, prior = index[at + 1 + 3 * k : at + 4 + 3 * k]
            found.append((int(first), int(size), self.store[prior], self.store[prior + 1]))
        return found

    def diagonal(self) -> list[int]:
        return [first + i * (i + 3) // 2 for first, size, _, _ in self.groups() for i in range(size)]


def log_probabilities(planned, store: Array, own: int, eta: Array, theta_extra: Array) -> Array:
    """Log probability of each observed category or count, by scipy; with the residual of a normal outcome given."""
    r = planned.regressions.outcomes[own]
    values = values_of(planned, store)
    y = values.data["y"]  # with drawn categories where these count because of another outcome's residual
    on = r.active
    y, eta = y[on], eta[on]
    if r.equation.distribution.name == "NEGATIVE_BINOMIAL":
        size = np.exp(-theta_extra[0])
        return stats.nbinom.logpmf(y, size, size / (size + np.exp(eta)))
    law = stats.logistic if r.equation.distribution.name == "LOGIT" else stats.norm
    sd = 1.0
    if r.covariance:
        (c,) = planned.regressions.covariances
        lower = np.zeros((2, 2))
        lower[np.tril_indices(2)] = store[c.factor : c.factor + 3]
        s = lower @ lower.T
        i = c.members.index(own)
        rest = values.data["m"] - values.fitted(planned.regressions.outcomes[c.members[1 - i]].planned.source)
        eta = eta + s[0, 1] / s[1 - i, 1 - i] * rest[on]
        sd = np.sqrt(s[i, i] - s[0, 1] ** 2 / s[1 - i, 1 - i])
    codes = sorted(planned.model.variables["y"].codes)
    tau = np.concatenate([[-np.inf, 0.0], np.cumsum(np.exp(theta_extra)), [np.inf]])
    place = np.searchsorted(codes, y)
    return np.log(law.cdf((tau[place + 1] - eta) / sd) - law.cdf((tau[place] - eta) / sd))


def reference(step: Step, theta: Array) -> float:
    """Log posterior density of the parameters from the model graph, thresholds and dispersion as logarithms."""
    planned = step.planned
    store = step.store.copy()
    newton.write_parameters(planned.plan, store, step.row, theta)
    values = values_of(planned, store)
    r = planned.regressions.outcomes[step.own]
    total = 0.0
    for group, factor in zip(r.equation.random, r.factors, strict=True):
        size = len(group.terms)
        key = r.planned.source, None, group.level
        before, lower = np.zeros((2, size, size))
        for kept, matrix in ((step.store, before), (store, lower)):
            matrix[np.tril_indices(size)] = kept[factor : factor + size * (size + 1) // 2]
        standardised = np.linalg.solve(
            before, values.effects[key][::-1]
        )  # factors are in reversed order of terms
        values.effects[key] = (lower @ standardised)[::-1]
        df, scale = (3.0, 1.0) if size == 2 else (-2.0, 0.0)  # prior1, and the flat default
        total += naive.log_prior_of_factor(lower, df, scale)
    extra = theta[step.size :]
    total += log_probabilities(planned, store, step.own, values.fitted(r.planned.source), extra).sum()
    if r.equation.distribution.name == "NEGATIVE_BINOMIAL":
        return total + stats.norm.logpdf(extra[0], 0.0, np.sqrt(10.0))
    names = [t.coefficient for t in r.equation.terms]
    total += sum(stats.norm.logpdf(values.parameters[name], 0.0, np.sqrt(5.0)) for name in names)
    return total + extra.sum()


@pytest.mark.parametrize("name", ALL, ids=lambda name: ", ".join(name))
def test_value_is_the_log_posterior_density(name):
    step = Step(ALL[name])
    points = step.proposals(4)
    found = [step.value(theta) for theta in points]
    expected = [reference(step, theta) for theta in points]
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-8, atol=1e-8)


def wrong_precision(step: Step) -> None:
    step.store[step.row[p.NEWTON_PRIOR] : step.row[p.NEWTON_PRIOR] + step.size] += 0.1


def wrong_degrees_of_freedom(step: Step) -> None:
    step.store[step.planned.plan.index[step.row[p.NEWTON_GROUPS] + 3]] += 1.0


def wrong_column(step: Step) -> None:
    step.store[step.planned.plan.index[step.row[p.NEWTON_COLUMNS]]] += 0.1


def wrong_code(step: Step) -> None:
    codes = step.store[step.row[p.NEWTON_CODE] :][: step.row[p.NEWTON_UNITS]]
    unit = np.flatnonzero(codes >= 0.0)[0]
    codes[unit] = 1.0 - codes[unit] if codes[unit] <= 1.0 else codes[unit] - 1.0


def wrong_variance_of_the_dispersion(step: Step) -> None:
    step.store[step.row[p.NEWTON_PRIOR] + 2 * step.size] = 5.0


def wrong_sd(step: Step) -> None:
    step.store[step.row[p.NEWTON_SD] : step.row[p.NEWTON_SD] + step.row[p.NEWTON_UNITS]] = 1.0


MISTAKES = [
    (("ordinal probit", "one level"), wrong_precision),
    (("binary logit", "one level"), wrong_code),
    (("ordered logit", "slopes"), wrong_degrees_of_freedom),
    (("negative binomial", "intercepts"), wrong_degrees_of_freedom),
    (("binary probit", "slopes"), wrong_column),
    (("negative binomial", "one level"), wrong_variance_of_the_dispersion),
    (("ordinal probit", "residual covariance"), wrong_sd),
]


@pytest.mark.parametrize(("name", "mistake"), MISTAKES)
def test_a_mistake_in_the_value_is_seen(name, mistake):
    step = Step(ALL[name])
    points = step.proposals(4)
    expected = [reference(step, theta) for theta in points]
    mistake(step)
    found = [step.value(theta) for theta in points]
    assert np.abs(np.diff(found) - np.diff(expected)).max() > 1e-4


def differences(function, theta: Array, h: float = 1e-5) -> Array:
    """Central differences, one row for each parameter."""
    return np.array([(function(theta + e) - function(theta - e)) / (2.0 * h) for e in h * np.eye(theta.size)])


@pytest.mark.parametrize("name", ALL, ids=lambda name: ", ".join(name))
def test_derivatives_are_those_of_the_value(name):
    """Left out: parts of what `scale` of the prior of matrices adds, and second order terms, both as documented."""
    step = Step(ALL[name])
    for first, size, *_ in step.groups():
        if size == 2:  # back to the flat prior, whose derivatives are complete
            prior = step.planned.plan.index[step.row[p.NEWTON_GROUPS] + 3]
            assert first == step.groups()[0][0]
            step.store[prior : prior + 2] = -3.0, 0.0
    for theta in step.proposals(3):
        g, h = step.derivatives(theta)
        np.testing.assert_allclose(g, differences(step.value, theta), rtol=1e-6, atol=1e-5)
        second = -differences(lambda at: step.derivatives(at)[0], theta)
        free = slice(step.size, step.length)
        if step.row[p.NEWTON_FAMILY] == p.NEWTON_COUNT:  # the mixed ones have expectation 0
            second[free, : step.size] = second[: step.size, free] = 0.0
            own = second[-1, -1] - 0.1
            second[-1, -1] = max(own, 0.0) + 0.1
        else:  # tau'' = tau' = distance, times the gradient by tau
            second[free, free] += np.diag(g[free] - 1.0)
        np.testing.assert_allclose(h, second, rtol=1e-5, atol=1e-4)


def test_a_mistake_in_the_derivatives_is_seen():
    """Those of the probit model are not those of the logit model."""
    step = Step(PLANS["ordered logit", "intercepts"])
    (theta,) = step.proposals(1)
    step.row = step.row.copy()
    step.row[p.NEWTON_FAMILY] = p.NEWTON_PROBIT
    g, _ = step.derivatives(theta)
    step.row[p.NEWTON_FAMILY] = p.NEWTON_LOGIT
    assert np.abs(g - differences(step.value, theta)).max() > 1e-2


# ------------------------------------------------------------------ the law of the step alone
LAWS = {
    "binary probit": "FIXED: x; MODEL: {left} ~ 1@l1 x@l2;",
    "ordinal probit": "FIXED: x; MODEL: {left} ~ 1@l1 x@0.5;",
    "binary logit": "FIXED: x; MODEL: {left} ~ 1@l1 x@l2;",
    "ordered logit": "FIXED: x; MODEL: {left} ~ 1@l1 x@0.5;",
    "negative binomial": "FIXED: x; MODEL: {left} ~ 1@l1 x@0.4;",
    "binary probit, factor": "CLUSTERID: g; FIXED: x; OPTIONS: prior1; MODEL: {left} ~ 1@l1 x@0.5;",
    "binary logit, factor": "CLUSTERID: g; FIXED: x; OPTIONS: prior1; MODEL: {left} ~ 1@l1 x@0.5;",
    "negative binomial, factor": "CLUSTERID: g; FIXED: x; OPTIONS: prior1; MODEL: {left} ~ 1@0.3 x@0.4;",
}
REPLICATES = 1500
POINTS = 201


def few_rows(outcome: str) -> Step:
    """A step with two parameters, all else fixed."""
    declared, left, make = OUTCOMES[outcome.split(",")[0]]
    few = outcome.split()[-1] in ("probit", "logit")
    columns = {key: values[: 30 if few else None] for key, values in two_level(8).items()}
    y = make(columns)
    y = np.minimum(y, 2.0) if outcome.startswith(("ordinal", "ordered")) else y
    return Step(
        plan_of("DATA: t; MISSING: NA; " + declared + LAWS[outcome].format(left=left), columns | {"y": y})
    )


def exact_density(step: Step, theta: Array) -> Array:
    """Log posterior density by scipy at parameters of shape (..., 2), from the parts of the linear predictor."""
    row, store = step.row, step.store
    n = row[p.NEWTON_UNITS]
    codes = store[row[p.NEWTON_CODE] : row[p.NEWTON_CODE] + n]
    on = codes >= 0.0
    y = codes[on].astype(int)
    offsets = step.planned.plan.index[row[p.NEWTON_COLUMNS] :][: step.size]
    x = np.stack([store[at : at + n][on] for at in offsets], axis=1)
    eta = store[row[p.NEWTON_OFFSET] : row[p.NEWTON_OFFSET] + n][on] + theta[..., : step.size] @ x.T
    factors = step.diagonal()
    coefficients = [k for k in range(step.size) if k not in factors]
    total = np.zeros(theta.shape[:-1])
    for k in factors:  # IW(2, 1) of the square: an inverse gamma law, and the Jacobian 2 l
        total += stats.invgamma.logpdf(theta[..., k] ** 2, 1.0, scale=0.5) + np.log(theta[..., k])
    if row[p.NEWTON_FAMILY] == p.NEWTON_COUNT:
        size = np.exp(-theta[..., -1:])
        total += stats.nbinom.logpmf(y, size, size / (size + np.exp(eta))).sum(axis=-1)
        return total + stats.norm.logpdf(theta[..., -1], 0.0, np.sqrt(10.0))
    law = stats.logistic if row[p.NEWTON_FAMILY] == p.NEWTON_LOGIT else stats.norm
    total += stats.norm.logpdf(theta[..., coefficients], 0.0, np.sqrt(5.0)).sum(axis=-1)
    if step.length == step.size:
        return total + law.logcdf(np.where(y == 1, eta, -eta)).sum(axis=-1)
    second = np.exp(theta[..., -1:])
    shares = np.stack([law.cdf(-eta), law.cdf(second - eta) - law.cdf(-eta), law.sf(second - eta)])
    chosen = np.take_along_axis(shares, np.broadcast_to(y, shares.shape[1:])[None], axis=0)[0]
    return total + np.log(np.maximum(chosen, 1e-300)).sum(axis=-1) + theta[..., -1]


class Grid:
    """The law of two parameters by quadrature over a fine grid."""

    def __init__(self, step: Step, jacobian: float = 1.0) -> None:
        """`jacobian`: power of the distance of thresholds that the density is multiplied with, 1 if it is right."""
        centre, scale = self.reach(step)
        self.axes = [
            np.linspace(c - 10.0 * s, c + 10.0 * s, POINTS) for c, s in zip(centre, scale, strict=True)
        ]
        for k in step.diagonal():
            self.axes[k] = np.linspace(0.03, centre[k] + 14.0 * scale[k], POINTS)
        self.width = [axis[1] - axis[0] for axis in self.axes]
        theta = np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1)
        values = exact_density(step, theta) + (jacobian - 1.0) * theta[..., 1]
        self.mass = np.exp(values - values.max())
        self.mass /= self.mass.sum()
        edges = np.concatenate([self.mass[[0, -1]].ravel(), self.mass[:, [0, -1]].ravel()])
        assert edges.max() < 1e-3 * self.mass.max()  # against 0.07, which a test of so many draws notices

    @staticmethod
    def reach(step: Step) -> tuple[Array, Array]:
        """Mode by Newton steps, and standard deviations there."""
        theta = step.read()
        theta[step.diagonal()] = 0.7
        for _ in range(30):
            g, h = step.derivatives(theta)
            theta = theta + np.clip(np.linalg.solve(h, g), -0.5, 0.5)
            theta[step.diagonal()] = np.maximum(theta[step.diagonal()], 0.3)
        return theta, np.sqrt(np.diag(np.linalg.inv(step.derivatives(theta)[1])))

    def draws(self, count: int, rng: np.random.Generator) -> Array:
        """Independent draws: a cell, and a place within it."""
        cells = np.unravel_index(rng.choice(self.mass.size, count, p=self.mass.ravel()), self.mass.shape)
        found = np.stack([axis[cell] for axis, cell in zip(self.axes, cells, strict=True)], axis=1)
        return found + (rng.random((count, 2)) - 0.5) * self.width

    def p_values(self, draws: Array) -> list[float]:
        """Kolmogorov-Smirnov tests of both parameters."""
        found = []
        for k in range(2):
            below = np.concatenate([[0.0], np.cumsum(self.mass.sum(axis=1 - k))])
            ends = self.axes[k][0] + self.width[k] * (np.arange(POINTS + 1) - 0.5)
            found.append(stats.kstest(draws[:, k], lambda x: np.interp(x, ends, below)).pvalue)  # noqa: B023
        return found


def after_steps(step: Step, start: Array, moves: int = 3) -> Array:
    """Each start moved by some steps, the reference point learned before and frozen."""
    planned = step.planned
    alone = planned.plan._replace(steps=planned.plan.steps[step.number : step.number + 1])
    running = Running(replace(planned, plan=alone), step.store, step.running.rng, step.running.work)
    running.sweeps(300, burn=300)
    accepted = step.row[p.NEWTON_MEMORY] + np.array([newton.ACCEPTED, newton.TRIED])
    step.store[accepted] = 0.0
    found = np.zeros_like(start)
    for k, theta in enumerate(start):
        newton.write_parameters(planned.plan, step.store, step.row, theta)
        running.sweeps(moves, burn=1, start=10**6)
        found[k] = step.read()
    assert step.store[accepted[0]] > 0.4 * step.store[accepted[1]]  # else nothing would be seen
    return found


@pytest.mark.parametrize("outcome", LAWS)
def test_step_leaves_the_law_alone(outcome):
    """Draws from the posterior by quadrature stay such draws."""
    step = few_rows(outcome)
    assert step.length == 2
    grid = Grid(step)
    start = grid.draws(REPLICATES, generator(33))
    assert min(grid.p_values(after_steps(step, start))) > ALPHA


def test_a_target_without_the_jacobian_is_left():
    """The law of thresholds that are flat on the scale of the logarithms of their distances does not stay."""
    step = few_rows("ordinal probit")
    grid = Grid(step, jacobian=0.0)
    assert min(grid.p_values(after_steps(step, grid.draws(REPLICATES, generator(33))))) < ALPHA


def test_a_proposal_that_is_not_accounted_for_is_seen(monkeypatch):
    """The step in plain Python with the density of its proposal left out of the ratio."""
    step = few_rows("ordered logit")
    grid = Grid(step)
    start = grid.draws(REPLICATES, generator(33))
    after_steps(step, start[:1])
    found = []
    for wrong in (False, True):
        if wrong:
            monkeypatch.setattr(newton, "log_t", lambda z, m: 0.0)
        moved = np.zeros_like(start)
        for k, theta in enumerate(start):
            newton.write_parameters(step.planned.plan, step.store, step.row, theta)
            arguments = (step.planned.plan, step.store, 0, 10**6, 1, step.running.rng, step.running.work)
            newton.draw_newton.py_func(*arguments)
            moved[k] = step.read()
        found.append(min(grid.p_values(moved)))
    assert found[0] > ALPHA > found[1]


@pytest.mark.parametrize("outcome", ["binary probit, factor", "negative binomial, factor"])
def test_derivatives_of_the_prior_of_a_single_variance_are_complete(outcome):
    """IG(1, 0.5) and an informative IG(3, 4): gradient and negative second derivative of the prior's log density."""
    step = few_rows(outcome)
    place = step.planned.plan.index[step.row[p.NEWTON_GROUPS] + 3]
    (first, *_), *_ = step.groups()
    (theta,) = step.proposals(1)
    found = []
    for prior in ((2.0, 1.0), (6.0, 8.0)):
        step.store[place : place + 2] = prior
        g, h = step.derivatives(theta)
        np.testing.assert_allclose(g, differences(step.value, theta), rtol=1e-6, atol=1e-5)
        found.append(h[first, first])
    second = [
        max(-(df + 1.0) + 3.0 * scale / theta[first] ** 2, 0.0) for df, scale in ((2.0, 1.0), (6.0, 8.0))
    ]
    assert found[1] - found[0] == pytest.approx(float(np.diff(second)[0]) / theta[first] ** 2)


@pytest.mark.parametrize("rest", ["y ~ x@l w; m ~ z@l2;", "y ~ x@l w z@l2;"])
def test_a_coefficient_inside_a_function_is_not_proposed(rest):
    """What the function is in would have to count, too, be it another equation or the same."""
    text = "DATA: t; ORDINAL: y; FIXED: x z w; MODEL: " + rest + " PARAMETERS: l2 = exp(l);"
    planned = plan_of(text, COLUMNS | {"y": (COLUMNS["y"] > 2.0).astype(float)})
    place = next(place for atom, place in planned.symbols.place.items() if atom.name == "l")
    for row in planned.plan.newtons:
        first = row[p.NEWTON_VALUES]
        assert row[p.NEWTON_SIZE] == 2
        assert place not in planned.plan.index[first : first + 2]
