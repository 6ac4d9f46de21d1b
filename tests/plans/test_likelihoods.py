"""Likelihoods for information criteria and predictions against scipy.stats, at states of all kinds of models."""

from __future__ import annotations

from pathlib import Path

import densities
import numpy as np
import pytest
from cut_models import cut_plan
from scripts import for_each_conformance_script, for_each_example
from test_joint_density import PLANS, values_of
from toy_models import COVARIANCE_MODELS, made
from toys import Running

from mlbayes.engine.likelihood import conditional_likelihood, marginal_likelihood
from mlbayes.engine.monitor import Monitor
from mlbayes.engine.state import State
from mlbayes.plan.choose import PlannedModel


def check(planned: PlannedModel) -> None:
    """Both likelihoods of every unit, early in a chain, where little fits, and later."""
    running = Running.start(planned, seed=8)
    for sweeps in (1, 6):
        running.sweeps(sweeps, burn=100)
        state = State(planned, running.store.copy(), running.rng)  # imputes what no equation needs
        values = values_of(planned, state.store)
        found = conditional_likelihood(state)
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, densities.conditional(values), rtol=1e-7, atol=1e-7)
        if Monitor(planned).has_random:
            found = marginal_likelihood(state)
            np.testing.assert_allclose(found, densities.marginal(values), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", [*PLANS, *COVARIANCE_MODELS])
def test_likelihoods_of_toy_models(name):
    check(PLANS[name] if name in PLANS else made(name))


@for_each_example
def test_likelihoods_of_an_example(path: Path):
    check(cut_plan(path))


@for_each_conformance_script
def test_likelihoods_of_a_conformance_script(path: Path):
    check(cut_plan(path))


def test_a_wrong_likelihood_is_seen():
    """A residual variance that is off by a hundredth shows."""
    planned = PLANS["random slope"]
    running = Running.start(planned, seed=8, sweeps=2)
    state = State(planned, running.store.copy(), running.rng)
    values = values_of(planned, state.store)
    state.store[planned.regressions.outcomes[0].precision] *= 1.01
    for found, expected in (
        (conditional_likelihood(state), densities.conditional(values)),
        (marginal_likelihood(state), densities.marginal(values)),
    ):
        assert np.abs(found - expected).max() > 1e-3
