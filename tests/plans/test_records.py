"""What a draw keeps against the state that it was kept from."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from test_joint_density import PLANS, values_of
from toys import Running

from mlbayes.engine.state import State
from mlbayes.plan.record import latent_intercept


def after_a_sweep(planned):
    running = Running.start(planned, sweeps=3)
    record = running.sweeps(1, start=3)[0]
    return running, record, values_of(planned, running.store)


@pytest.mark.parametrize("name", PLANS)
def test_reported_coefficients_give_the_sampled_fit(name):
    """Centred terms with the reported coefficients and effects: the linear predictor that was sampled."""
    planned = PLANS[name]
    error = 1e-6 if "centred nominal" in name else 1e-8  # probabilities of categories by quadrature
    running, record, values = after_a_sweep(planned)
    for name_ in {m.variable for m in planned.model.predictor_models}:
        if planned.model.variables[name_].kind.name == "ORDINAL":
            return  # centred at a mean probability, tested where the share is
    state = State(planned, running.store, running.rng)
    for r, place in zip(planned.regressions.outcomes, planned.layout.equations, strict=True):
        equation = r.equation
        if not equation.terms:
            continue
        terms = [values.expression(t.expression, equation.level) for t in equation.terms]
        total = np.zeros(planned.model.hierarchy.units[equation.level - 1])
        for t, term in enumerate(terms):
            total += record[place.coefficients + t] * term
        for group in equation.random:
            for effect, t in zip(state.effects(r, group.level, group.terms), group.terms, strict=True):
                total += values.spread(effect, equation.level, group.level) * terms[t]
        np.testing.assert_allclose(
            total, values.fitted(r.planned.source, r.planned.category), rtol=error, atol=error
        )


@pytest.mark.parametrize("name", PLANS)
def test_reported_variances_and_explained_parts(name):
    planned = PLANS[name]
    _, record, values = after_a_sweep(planned)
    for r, place in zip(planned.regressions.outcomes, planned.layout.equations, strict=True):
        equation = r.equation
        if not equation.terms:
            continue
        centred = any(m.variable in values.responses for m in planned.model.predictor_models)
        if centred and r.recentring.mode != "exact":
            continue
        terms = np.stack([values.expression(t.expression, equation.level) for t in equation.terms], axis=1)
        groups = []
        for group, at in zip(equation.random, place.covariances, strict=True):
            n = len(group.terms)
            matrix = record[at : at + n * n].reshape(n, n)[::-1, ::-1]
            groups.append((group.terms, matrix))
            if not r.recentring.change:
                own = values.matrices[r.planned.source, r.planned.category, group.level]
                np.testing.assert_allclose(matrix, own, rtol=1e-9)
        beta = record[place.coefficients : place.coefficients + terms.shape[1]]
        parts = naive.variance_parts(terms, beta, groups)
        np.testing.assert_allclose(record[place.sd : place.sd + len(beta)], parts["sd"], rtol=1e-7, atol=1e-7)
        if not latent_intercept(planned.model, r):  # whose variance is not counted as explained
            np.testing.assert_allclose(record[place.explained], parts["explained"][0], rtol=1e-7, atol=1e-9)
        found = [record[at + i] for at in place.parts for i in (0, 1)]
        np.testing.assert_allclose(found, parts["random"], rtol=1e-7, atol=1e-9)
        if equation.residual is None and not r.normal:  # a log variance, or a categorical or count outcome
            continue
        k = r.planned.source
        variances = values.cluster_variances[k] if k in values.cluster_variances else values.variance(k)
        np.testing.assert_allclose(record[place.variance], variances.mean(), rtol=1e-9)
        if r.heterogeneous:
            quartiles = np.quantile(variances, (0.25, 0.5, 0.75), method="hazen")
            np.testing.assert_allclose(record[place.spread : place.spread + 3], quartiles, rtol=1e-9)
        else:
            assert place.spread == -1


def test_average_covariances():
    """Means over units of covariances that differ between them; others have no place."""
    counts = []
    for planned in (PLANS[name] for name in PLANS if PLANS[name].regressions.covariances):
        _, record, values = after_a_sweep(planned)
        outcomes = planned.regressions.outcomes
        for c, places in zip(
            planned.regressions.covariances, planned.layout.average_covariances, strict=True
        ):
            matrix = values.covariances[tuple(outcomes[k].planned.source for k in c.members)]
            heterogeneous = [outcomes[k].heterogeneous for k in c.members]
            sd = [
                np.sqrt(values.variance(outcomes[k].planned.source)) if own else 1.0
                for k, own in zip(c.members, heterogeneous, strict=True)
            ]
            for (i, j), place in places.items():
                np.testing.assert_allclose(record[place], np.mean(matrix[i, j] * sd[i] * sd[j]), rtol=1e-8)
            pairs = [(i, j) for i in range(len(sd)) for j in range(i) if heterogeneous[i] or heterogeneous[j]]
            assert list(places) == pairs
            counts.append(len(pairs))
    assert 3 in counts and 1 in counts and 0 in counts


@pytest.mark.parametrize("name", PLANS)
def test_reported_predictor_models(name):
    planned = PLANS[name]
    _, record, values = after_a_sweep(planned)
    responses = planned.regressions.predictor_responses()
    for parts, place in zip(responses, planned.layout.predictors, strict=True):
        name = parts[0].name
        assert record[place.grand_mean] == values.grand[name]
        for k, part in enumerate(parts):
            slopes = record[place.slopes[k] : place.slopes[k] + len(part.slopes)]
            np.testing.assert_array_equal(slopes, values.slopes[name, k])
            np.testing.assert_allclose(1.0 / record[place.precisions[k]], values.residuals[name, k])
