"""What categorical predictors are centred at, against scipy; and centred equations against uncentred ones."""

from __future__ import annotations

import threading

import naive
import numpy as np
import pytest
from scipy import stats
from toys import Columns, generator, plan_of

from mlbayes import pipeline
from mlbayes.console import SilentProgress
from mlbayes.engine.program import run_program
from mlbayes.plan.builder import PlanBuilder
from mlbayes.plan.category_shares import category_probability
from mlbayes.plan.choose import PlannedModel
from mlbayes.plan.expected_codes import ExpectedCode
from mlbayes.plan.polynomial import Atom

Array = np.ndarray


def run(builder: PlanBuilder) -> Array:
    """The store after all instructions."""
    plan, store = builder.finish()
    run_program(plan, store, 0, len(plan.program))
    return store


@pytest.mark.parametrize("codes", [(0.0, 1.0), (1.0, 2.0), (1.0, 2.0, 5.0), (-2.0, 0.0, 1.0, 2.0, 7.0)])
@pytest.mark.parametrize("sd", [None, 1.7])
def test_expected_code(codes, sd):
    """The sum of codes times the probabilities of their intervals; of all means, far ones as well."""
    rng = generator(5)
    cuts = np.concatenate([[0.0], np.cumsum(rng.exponential(size=len(codes) - 2))])
    means = np.concatenate([rng.normal(size=7), [-40.0, 40.0]])
    builder = PlanBuilder()
    atom = Atom("share", "o", 2)
    code = ExpectedCode(atom, atom, codes, builder.vector(cuts))
    target, scale = builder.zeros(means.size), -1
    if sd is not None:
        scale = builder.vector(np.full(means.size, sd))
    code.instruct(builder, target, means.size, builder.vector(means), scale)
    found = run(builder)[target : target + means.size]
    ends = np.concatenate([[-np.inf], cuts, [np.inf]])
    below = stats.norm.cdf((ends[None, :] - means[:, None]) / (sd or 1.0))
    np.testing.assert_allclose(found, np.diff(below, axis=1) @ codes, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found[-2:], [codes[0], codes[-1]], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("responses", [1, 2, 3, 4])
def test_probability_of_a_category(responses):
    """Quadrature against the multivariate normal distribution function."""
    rng = generator(6)
    means = 1.5 * rng.normal(size=(40, responses))
    expected = naive.multinomial_probit(means)
    np.testing.assert_allclose(expected.sum(axis=1), 1.0, rtol=1e-4)
    for k in range(responses):
        builder = PlanBuilder()
        places = [builder.vector(column) for column in means.T]
        found = category_probability(builder, len(means), places, k)
        np.testing.assert_allclose(run(builder)[found : found + len(means)], expected[:, k + 1], atol=2e-5)


def test_multinomial_probit_of_two_categories():
    """The reference itself, where it is known in closed form."""
    means = np.linspace(-3.0, 3.0, 7)[:, None]
    np.testing.assert_allclose(naive.multinomial_probit(means)[:, 1], stats.norm.cdf(means[:, 0]), rtol=1e-10)


def nominal_data() -> Columns:
    """y by three categories in clusters, which depend on x; some categories are missing."""
    rng = generator(91)
    g = np.repeat(np.arange(25), 6)
    x = rng.normal(size=g.size)
    utilities = np.stack([0.0 * x, 0.3 + 0.6 * x, -0.2 - 0.4 * x]) + np.sqrt(0.5) * rng.normal(
        size=(3, g.size)
    )
    n = 1.0 + utilities.argmax(axis=0)
    y = 1.0 + 0.9 * (n == 2) - 0.6 * (n == 3) + 0.3 * x + 0.5 * rng.normal(size=25)[g]
    y = y + rng.normal(size=g.size)
    n[rng.random(g.size) < 0.1] = np.nan
    return {"g": g.astype(float), "x": x, "n": n, "y": y}


def draws_of(script: str) -> tuple[PlannedModel, Array]:
    """Kept draws of the coefficients of y, shape (draws, coefficients)."""
    settings = "SEED: 5; BURN: 300; ITERATIONS: 1500; CHAINS: 1;"
    head = "DATA: t; MISSING: NA; CLUSTERID: g; NOMINAL: n; "
    planned = plan_of(f"{head} {script} MODEL: y ~ n x; {settings}", nominal_data())
    draws = pipeline.sample(planned, 1, SilentProgress(), threading.Event())
    return planned, draws.equations[0].coefficients[0, draws.burn :]


def test_intercept_at_the_probabilities_of_categories():
    """The same draws; the intercept is the expected outcome where the dummy codes have their probabilities."""
    _, raw = draws_of("")
    planned, centred = draws_of("CENTER: grandmean = n;")
    assert [term.label for term in planned.model.equations[0].terms] == ["Intercept", "n.2", "n.3", "x"]
    np.testing.assert_array_equal(raw[:, 1:], centred[:, 1:])
    values = nominal_data()
    seen = ~np.isnan(values["n"])
    shares = np.array([np.mean(values["n"][seen] == code) for code in (2, 3)])
    moved = centred[:, 0] - raw[:, 0]
    # draws of the shares are around the observed ones: categories differ by much less than a tenth on average
    design = np.linalg.lstsq(raw[:, 1:3], moved, rcond=None)[0]
    np.testing.assert_allclose(design, shares, atol=0.05)
    expected = values["y"].mean() - centred[:, 3].mean() * values["x"].mean()
    assert abs(centred[:, 0].mean() - expected) < 0.5 * centred[:, 0].std()


def test_fixed_nominal_predictors_are_centred_at_observed_proportions():
    """Numbers: the same draws of slopes, and an intercept that differs by a constant combination of them."""
    whole = nominal_data()
    whole["n"] = np.where(np.isnan(whole["n"]), 1.0, whole["n"])
    shares = np.array([np.mean(whole["n"] == code) for code in (2, 3)])
    head = "DATA: t; CLUSTERID: g; NOMINAL: n; FIXED: n x; CENTER: "
    planned = plan_of(head + "grandmean = n; MODEL: y ~ n x;", whole)
    (r,) = planned.regressions.outcomes
    dummies = [(whole["n"] == code).astype(float) for code in (2, 3)]
    for k, term in enumerate(r.terms[1:3]):
        np.testing.assert_allclose(static(planned, term), dummies[k] - shares[k], atol=1e-14)
    planned = plan_of(head + "groupmean = n; MODEL: y ~ n x;", whole)
    (r,) = planned.regressions.outcomes
    g = whole["g"].astype(int)
    for k, term in enumerate(r.terms[1:3]):
        means = np.bincount(g, dummies[k]) / np.bincount(g)
        np.testing.assert_allclose(static(planned, term), dummies[k] - means[g], atol=1e-14)


def static(planned: PlannedModel, polynomial) -> Array:
    """Values over rows of a polynomial in data that never change."""
    total = 0.0
    for monomial, number in polynomial.terms.items():
        product = number
        for atom in monomial:
            rows = planned.model.hierarchy.ancestors(1, atom.level)
            product = product * planned.symbols.static[atom][rows]
        total = total + product
    return total
