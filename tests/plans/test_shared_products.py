"""Sums that blocks share are those that each would compute: draws are the same, to the last bit, without sharing."""

import numpy as np
import pytest
from toy_models import MODELS, made

from mlbayes.engine.chains import Chain
from mlbayes.plan.products import ChangingRows

SWEEPS = 12
SHARING = (
    *(name for name in MODELS if "imputation" in name or "joint" in name),
    "single level, binary",
    "single level, mediation",
    "binary predictors",
    "group-mean centring",
    "label in a function of rows",
    "product of incomplete",
    "square",
    "level-2 mediator",
)


def records(planned):
    """Everything that a chain records, and its state after some sweeps."""
    chain = Chain(planned, 0, np.zeros(1, dtype=np.int64))
    chain.total, chain.looks = SWEEPS, {}
    chain.run()
    places = sorted((atom, offset) for atom, offset in planned.symbols.place.items())
    state = [chain.store[offset : offset + planned.symbols.units(atom.level)] for atom, offset in places]
    return chain.records[:SWEEPS], np.concatenate(state)


def never(rows, a, b):
    """In place of `known_sums`: nothing is known."""
    return -1


@pytest.mark.parametrize("name", SHARING)
def test_sharing_changes_no_draw(name, monkeypatch):
    shared, state = records(made(name))
    monkeypatch.setattr(ChangingRows, "known_sums", never)
    apart, again = records(made(name))
    assert np.array_equal(shared, apart)
    assert np.array_equal(state, again)


def test_an_imputation_computes_what_has_changed():
    """The first of four items: the 15 sums of pairs of these and 1, without 1 * 1 (known) and the item's own square.

    Then, each time, the five with the item that was drawn before.
    """
    assert len(made("imputation of categories").plan.products) == 13 + 3 * 5


def test_a_step_that_forgets_a_change_would_be_noticed(monkeypatch):
    """The comparison can fail: sums that are never renewed give other draws."""
    shared, _ = records(made("imputation of categories"))
    monkeypatch.setattr(ChangingRows, "_is_fresh", lambda rows, monomial, made: True)
    stale, _ = records(made("imputation of categories"))
    assert not np.array_equal(shared, stale)
