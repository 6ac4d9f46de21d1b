"""The scale of latent variables: its density along the group of transformations against the model's joint density."""

from __future__ import annotations

from collections.abc import Callable

import naive
import numpy as np
import pytest
from rates import ALPHA
from scipy import stats
from test_joint_density import values_of
from toys import Columns, Running, at_step, generator, plan_of, steps_of, two_level

from mlbayes.engine.steps.scale import log_scale, rescale
from mlbayes.plan import plan as p

Array = np.ndarray
HEAD = "DATA: t; MISSING: NA; ORDINAL: a b c d; FIXED: x; "


def items() -> Columns:
    """Two correlated factors with two ordinal items each (a b, c d); y and m measure them too; some answers missing."""
    columns = two_level(12)
    rng = generator(12)
    n = columns["x"].size
    f = rng.normal(size=n) + 0.4 * columns["x"]
    h = 0.5 * f + rng.normal(size=n)
    for name, factor in zip("abcd", (f, f, h, h), strict=True):
        columns[name] = np.searchsorted((-0.7, 0.2, 1.0), factor + rng.normal(size=n)).astype(float)
    columns["y"], columns["m"] = f + rng.normal(size=n), 0.7 * h + rng.normal(size=n)
    columns["b"][rng.random(n) < 0.1] = np.nan
    columns["n"] = rng.poisson(np.exp(0.5 * f)).astype(float)
    return columns


MODELS = {
    "one factor": "LATENT: f; MODEL: f -> a b c y;",
    "one factor, priors": "LATENT: f; OPTIONS: prior1; MODEL: f -> a b@l1 c y; f ~ x@l2;"
    "PARAMETERS: l1 ~ normal(1, .25); l2 ~ truncate(-2, 2);",
    "one factor, bounds": "LATENT: f; MODEL: f -> a b@l1 c y; PARAMETERS: l1 ~ truncate(0, 9);",
    "two loadings fixed": "LATENT: f; MODEL: f -> a@1 b@1 c y; f ~ x;",
    "logit": "LATENT: f; MODEL: f -> y@.5 b; logit(a) ~ f@1; logit(c) ~ f;",
    "count": "LATENT: f; COUNT: n; MODEL: f -> n y b; f ~ x;",
    "covariance block": "LATENT: f h; MODEL: f -> a b y; h -> c d m; f ~~ h;",
    "covariance block, prior1": "LATENT: f h; OPTIONS: prior1; MODEL: f -> a b y; h -> c d m; f ~~ h; h ~ x;",
    "separate priors": "LATENT: f h; OPTIONS: use_phantom prior1; MODEL: f -> a b y; h -> c d m; f ~~ h; f ~ x;",
}
PLANS = {name: plan_of(HEAD + text, items()) for name, text in MODELS.items()}
CASES = [(name, number) for name, planned in PLANS.items() for number in steps_of(planned, p.STEP_SCALE)]


def log_categories(planned, values: naive.Values, r) -> float:
    """Exact log probability of a categorical or count outcome, its response integrated out."""
    variable = planned.model.variables[r.equation.outcome]
    eta, y, on = values.fitted(r.planned.source), variable.values, r.active
    if r.equation.distribution.name == "NEGATIVE_BINOMIAL":
        size = 1.0 / values.dispersion
        return float(stats.nbinom.logpmf(y, size, size / (size + np.exp(eta)))[on].sum())
    law = stats.logistic if r.equation.distribution.name == "LOGIT" else stats.norm
    codes = np.array(sorted(variable.codes))
    tau = np.concatenate([[-np.inf], values.cuts[variable.name], [np.inf]])
    place = np.searchsorted(codes, y[on])
    return float(np.log(law.cdf(tau[place + 1] - eta[on]) - law.cdf(tau[place] - eta[on])).sum())


def log_joint(planned, store: Array) -> float:
    """Joint log density of latent variables, outcomes, coefficients and (co)variances, responses integrated out."""
    values = values_of(planned, store)
    values.cuts = {}
    for r in planned.regressions.outcomes:
        variable = planned.model.variables[r.equation.outcome]
        if r.dispersion >= 0:
            values.dispersion = store[r.dispersion]
        elif not r.normal:
            values.cuts[variable.name] = store[r.cuts : r.cuts + len(variable.codes) - 1]
    covarying = [k for c in planned.regressions.covariances for k in c.members]
    total = values.log_priors()
    for r in planned.regressions.outcomes:
        if not r.normal:
            total += log_categories(planned, values, r)
        elif r.number not in covarying:
            variance = values.parameters[r.equation.residual]
            own = values.data[r.equation.outcome]
            total += naive.log_normal(own[r.active], values.fitted(r.planned.source)[r.active], variance)
            a, b = planned.model.parameters[r.equation.residual].prior.arguments
            total += naive.log_inverse_gamma(variance, a, b)
    for c in planned.regressions.covariances:
        members = [planned.regressions.outcomes[k] for k in c.members]
        size = len(members)
        lower = np.zeros((size, size))
        lower[np.tril_indices(size)] = store[c.factor : c.factor + size * (size + 1) // 2]
        s = lower @ lower.T
        residuals = np.stack(
            [values.data[r.equation.outcome] - values.fitted(r.planned.source) for r in members]
        )
        total += stats.multivariate_normal(np.zeros(size), s).logpdf(residuals.T).sum()
        if (
            "use_phantom" in planned.model.settings.options
        ):  # variances and correlations; the latter do not move
            for k, r in enumerate(members):
                a, b = planned.model.parameters[r.equation.residual].prior.arguments
                total += naive.log_inverse_gamma(s[k, k], a, b)
        else:
            total += naive.log_inverse_wishart(s, c.df, c.scale * np.eye(size))
    return float(total)


def log_jacobian(planned, row: Array, u: float) -> float:
    """Of what moves: values and coefficients one by one, the elements of the (co)variances that the density is of."""
    index = planned.plan.index
    power = row[p.SCALE_UNITS] + index[row[p.SCALE_UP]] - index[row[p.SCALE_DOWN]]
    if row[p.SCALE_FACTOR] < 0 or row[p.SCALE_PARTS] >= 0:
        return float((power + 2) * u)  # one variance
    return float((power + row[p.SCALE_SIZE] + 1) * u)  # its variance, and the covariances with the others


def densities(planned, number: int, mistake: Callable | None = None) -> tuple[Array, Array]:
    """The step's log density at some scales, and the model's at the states that these lead to."""
    running = at_step(planned, number, sweeps=5)
    row = planned.plan.scales[planned.plan.steps[number, 1]]
    scales = (-0.3, 0.0, 0.2, 0.5)
    expected = []
    for u in scales:
        moved = running.copy()
        rescale(planned.plan, moved.store, row, np.exp(u))
        for later in steps_before_responses(planned, number):
            moved.step(later)
        expected.append(log_joint(planned, moved.store) + log_jacobian(planned, row, u))
    if mistake is not None:
        row = mistake(planned, running, row.copy())
    found = [log_scale(planned.plan, running.store, row, u, running.work) for u in scales]
    return np.array(found), np.array(expected)


def steps_before_responses(planned, number: int) -> list[int]:
    """Programs right after the step, which bring what depends on its values up to date."""
    codes = planned.plan.steps[:, 0]
    after = number + 1
    while codes[after] == p.STEP_PROGRAM:
        after += 1
    return list(range(number + 1, after))


def first_program(planned, number: int) -> int:
    """The first of the programs right before the step."""
    before = number
    while planned.plan.steps[before - 1, 0] == p.STEP_PROGRAM:
        before -= 1
    return before


@pytest.mark.parametrize(("name", "number"), CASES)
def test_density_along_the_group_is_that_of_the_model(name, number):
    found, expected = densities(PLANS[name], number)
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-8, atol=1e-7)


def every_kind_is_here(field: int) -> set[bool]:
    return {bool(row[field] >= 0) for planned in PLANS.values() for row in planned.plan.scales}


def test_every_kind_is_here():
    assert every_kind_is_here(p.SCALE_FACTOR) == every_kind_is_here(p.SCALE_PARTS) == {True, False}
    families = {int(f) for planned in PLANS.values() for f in planned.plan.scale_items[:, p.ITEM_FAMILY]}
    assert families == {p.ITEM_NORMAL, p.NEWTON_PROBIT, p.NEWTON_LOGIT, p.NEWTON_COUNT}


def wrong_row_of_the_matrix(planned, running, row):
    row[p.SCALE_ROW] = 1 - row[p.SCALE_ROW]
    return row


def one_loading_too_few(planned, running, row):
    row[p.SCALE_DOWN] = row[p.SCALE_UP]
    return row


def wrong_prior(planned, running, row):
    running.store[row[p.SCALE_PRIOR]] += 0.5
    return row


def separate_as_one_matrix(planned, running, row):
    row[p.SCALE_PARTS] = -1
    return row


def one_item_too_few(planned, running, row):
    row[p.SCALE_LAST] -= 1
    return row


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("one factor", wrong_prior),
        ("one factor", one_item_too_few),
        ("one factor, priors", one_loading_too_few),
        ("covariance block", wrong_prior),
        ("covariance block, prior1", wrong_row_of_the_matrix),
        ("separate priors", separate_as_one_matrix),
    ],
)
def test_a_mistake_in_the_density_is_seen(name, mistake):
    found, expected = densities(PLANS[name], steps_of(PLANS[name], p.STEP_SCALE)[0], mistake)
    assert np.abs(np.diff(found) - np.diff(expected)).max() > 1e-2


@pytest.mark.parametrize(("name", "number"), CASES)
def test_rescaling_leaves_all_other_linear_predictors_alone(name, number):
    """Those of items with free loadings; in the others what the variable adds is multiplied; back is back."""
    planned = PLANS[name]
    running = at_step(planned, number)
    row = planned.plan.scales[planned.plan.steps[number, 1]]
    before = values_of(planned, running.store)
    moved = running.copy()
    rescale(planned.plan, moved.store, row, 1.7)
    after = values_of(planned, moved.store)
    (latent,) = (
        a.name for a, at in planned.symbols.place.items() if a.kind == "value" and at == row[p.SCALE_VALUES]
    )
    changed = row[p.SCALE_LAST] - row[p.SCALE_FIRST]
    for r in planned.regressions.outcomes:
        old, new = before.fitted(r.planned.source), after.fitted(r.planned.source)
        if r.equation.outcome == latent:
            np.testing.assert_allclose(new, 1.7 * old, rtol=1e-10, atol=1e-12)
        elif not np.allclose(old, new, rtol=1e-10, atol=1e-12):
            changed -= 1
    assert changed == 0
    for c in planned.regressions.covariances:  # the store holds the inverse of the matrix
        size = len(c.members)
        lower = np.zeros((size, size))
        lower[np.tril_indices(size)] = moved.store[c.factor :][: size * (size + 1) // 2]
        inverse = moved.store[c.precision :][: size * (size + 1) // 2]
        np.testing.assert_allclose(inverse, np.linalg.inv(lower @ lower.T)[np.tril_indices(size)], rtol=1e-9)
    rescale(planned.plan, moved.store, row, 1.0 / 1.7)
    np.testing.assert_allclose(moved.store, running.store, rtol=1e-12, atol=1e-14)


def moved_p_value(name: str, twice: bool = False) -> float:
    """The log scale that the step moves by, over and over, against quadrature of the density from the first state.

    `twice`: a mistake, what the equations hold of the variable moves by the square of its scale.
    """
    planned = PLANS[name]
    number = steps_of(planned, p.STEP_SCALE)[0]
    running: Running = at_step(planned, number, sweeps=20)
    row = planned.plan.scales[planned.plan.steps[number, 1]]
    grid = np.linspace(-3.0, 3.0, 2001)
    values = np.array([log_scale(planned.plan, running.store, row, u, running.work) for u in grid])
    mass = np.exp(values - values.max())
    below = np.concatenate([[0.0], np.cumsum(0.5 * (mass[1:] + mass[:-1]))])
    below /= below[-1]
    rng = generator(44)
    start = np.interp(rng.random(2000), below, grid)  # independent draws stay such draws
    first = running.store.copy()
    found = []
    for u in start:
        running.store[:] = first
        rescale(planned.plan, running.store, row, np.exp(u))
        for before in range(first_program(planned, number), number):
            running.step(before)
        if twice:
            for item in planned.plan.scale_items[row[p.SCALE_FIRST] : row[p.SCALE_LAST]]:
                running.store[item[p.ITEM_PART] :][: item[p.ITEM_UNITS]] *= np.exp(u)
        running.step(number)
        scale = running.store[row[p.SCALE_VALUES]] / first[row[p.SCALE_VALUES]]
        found.append(np.log(scale))
    assert abs(np.corrcoef(start, found)[0, 1]) < 0.5  # it moves
    return float(stats.kstest(found, lambda x: np.interp(x, grid, below)).pvalue)


@pytest.mark.parametrize("name", ["one factor", "covariance block, prior1", "separate priors"])
def test_slice_sampling_draws_from_the_density(name):
    assert moved_p_value(name) > ALPHA


def test_equations_that_move_twice_are_seen():
    assert moved_p_value("two loadings fixed", twice=True) < ALPHA
