"""Every affine block of every kind of plan against its dense joint precision."""

from __future__ import annotations

import numpy as np
import pytest
from toy_models import MODELS, made
from toys import Running, before_block, draw_step, vector
from verifier import Dense, ScriptedDraws, dense_covariance_factor, engine_collapsed, engine_vector

from mlbayes.engine.substitution import sum_of_squares


@pytest.fixture(scope="module", params=list(MODELS))
def planned(request):
    return made(request.param)


def each_block(planned):
    """A chain right before the draw of each block, with the block's dense form."""
    for block in planned.blocks:
        running = before_block(planned, block.number)
        yield running, Dense(planned, running.store.copy(), block)


def test_elimination_equals_dense_determinant_and_quadratic_form(planned):
    for running, dense in each_block(planned):
        np.testing.assert_allclose(engine_collapsed(running, dense.block), dense.collapsed(), rtol=1e-8)


def test_draw_without_noise_is_the_dense_mean(planned):
    for running, dense in each_block(planned):
        if any(top.bounds for top in dense.block.tops):
            continue
        ScriptedDraws(running, dense.block).draw()
        np.testing.assert_allclose(engine_vector(running.store, dense), dense.mean, rtol=1e-6, atol=1e-7)


def test_sum_of_squares_of_a_draw(planned):
    for running, dense in each_block(planned):
        if any(top.bounds for top in dense.block.tops):
            running.step(draw_step(planned, dense.block.number))
        else:
            ScriptedDraws(running, dense.block).draw(np.linspace(-1.5, 1.5, 400))
        t = engine_vector(running.store, dense)
        for precision in {r.precision for r in dense.block.residuals if r.squares}:
            found = sum_of_squares(planned.plan, running.store, dense.block.number, precision)
            np.testing.assert_allclose(found, dense.squares(precision, t), rtol=1e-8)


def test_terms_are_coefficients_plus_effects(planned):
    """What other blocks read is in step with what the outcome's block has drawn."""
    running = Running.start(planned, sweeps=4)
    for r in planned.regressions.outcomes:
        for t in range(len(r.terms)):
            symbol = r.term_symbol(t)
            if symbol is None or symbol not in planned.symbols.place:
                continue
            hierarchy = planned.model.hierarchy
            total = np.zeros(planned.symbols.units(symbol.level))
            for monomial, number in r.coefficients[t].terms.items():
                total += number * np.prod([vector(planned, running.store, atom)[0] for atom in monomial])
            for level in r.random_levels(t):
                effects = vector(planned, running.store, r.effect(level, t))
                total += effects[hierarchy.ancestors(symbol.level, level)]
            np.testing.assert_allclose(vector(planned, running.store, symbol), total, rtol=1e-12, atol=1e-12)


def test_sampled_and_observed_values_stay_apart(planned):
    """Observed values are never changed."""
    running = Running.start(planned, sweeps=4)
    for name, variable in planned.model.variables.items():
        symbol = planned.symbols.value(name) if name in used(planned) else None
        if symbol is not None and symbol in planned.symbols.place:
            values = vector(planned, running.store, symbol)
            seen = ~variable.missing
            np.testing.assert_array_equal(values[seen], variable.values[seen])
            assert np.isfinite(values).all()


def used(planned):
    return {atom.name for atom in planned.symbols.place if atom.kind == "value"}


COVARIANCES = [
    "random slope",
    "missing predictor, random slope",
    "group means",
    "shared label, level-2 mediator",
    "three levels, hidden slope above",
    "three levels, level-2 mediator",
]


@pytest.mark.parametrize("name", COVARIANCES)
def test_covariance_of_draws_is_the_inverse_precision(name):
    planned = made(name)
    for running, dense in each_block(planned):
        factor = dense_covariance_factor(running, dense)
        expected = np.linalg.inv(dense.precision)
        np.testing.assert_allclose(factor @ factor.T, expected, rtol=1e-6, atol=1e-8)
