"""Whole calibrations of models that draw their own patterns of missing values, or leave out weights of clusters."""

import numpy as np
import pytest
from rates import ALPHA
from toys import generator, model_of

from mlbayes.calibrate.coherent import coherent_variant
from mlbayes.calibrate.fit import simulation
from mlbayes.calibrate.priors import with_proper_priors
from mlbayes.calibrate.ranks import uniformity
from mlbayes.model.model import Model

SELECTION = """DATA: t; MISSING: NA; FIXED: x;
MODEL: y ~ x; y.missing ~ y@s x; PARAMETERS: s ~ normal(0, .5);"""
WEIGHTS = "DATA: t; CLUSTERID: g; FIXED: x; WEIGHT: v u; MODEL: y ~ x;"


def selection() -> Model:
    """Structure and scale are those of 90 rows, a third of which have no y."""
    rng = generator(61)
    x = rng.normal(size=90)
    y = np.where(rng.random(90) < 0.3, np.nan, 0.5 * x + rng.normal(size=90))
    return model_of(SELECTION, {"x": x, "y": y})


def weights() -> Model:
    rng = generator(62)
    g = np.repeat(np.arange(15), 5)
    columns = {"g": g.astype(float), "x": rng.normal(size=75), "v": rng.uniform(0.3, 3.0, 75)}
    columns["u"] = rng.uniform(0.5, 3.0, 15)[g]
    return model_of(WEIGHTS, columns | {"y": columns["x"] + rng.normal(size=15)[g] + rng.normal(size=75)})


def smallest(model: Model, simulations: int, seed: int) -> float:
    """The smallest p of any quantity, times their number; one comparison in the budget of rates.py."""
    changed, _ = with_proper_priors(coherent_variant(model).model)
    found = [simulation(changed, seed, number, 500) for number in range(simulations)]
    assert not any(one.failure for one in found)
    names = found[0].places
    p = [
        uniformity(np.array([one.places[n] for one in found]), np.array([one.z[n] for one in found])).p
        for n in names
    ]
    return min(p) * len(p)


def test_two_level_weights_are_calibrated_in_their_variant():
    assert smallest(weights(), 25, 3) > ALPHA


@pytest.mark.slow
def test_a_selection_model_is_calibrated():
    assert smallest(selection(), 100, 4) > ALPHA
