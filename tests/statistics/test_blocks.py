"""Each sampling step alone leaves the joint law as it is, and planted mistakes are seen (`calibrate --blocks`)."""

import numpy as np
import planted
import pytest
from planted import MISTAKES, MODELS
from rates import ALPHA
from scipy import stats

from mlbayes.calibrate.blocks import compare, difference, drawn_state, replicate, summaries
from mlbayes.calibrate.quantities import quantities
from mlbayes.calibrate.read import Reader
from mlbayes.calibrate.units import units
from mlbayes.calibrate.write import DETERMINISTIC, logistic_precision, polya_gamma
from mlbayes.engine.augmentation import polya_gamma as engine_polya_gamma
from mlbayes.plan import plan as p
from mlbayes.plan.choose import make_plan

COUNT = 300
MANY = 1200  # for steps that seldom move


@pytest.mark.parametrize("name", MODELS)
def test_what_is_written_is_read_again(name):
    """Deterministic steps change nothing of a world in the store."""
    world, planned, store = drawn_state(planted.model(name), 1, 0)
    read = Reader(planned).world(store)
    expected, found = (quantities(w) | summaries(w) for w in (world, read))
    known = [key for key in found if key in expected]
    assert len(known) >= len(quantities(world))
    for key in known:
        assert found[key] == pytest.approx(expected[key], rel=1e-7, abs=1e-9), key


def test_every_sampling_step_is_in_some_model():
    codes = {int(row[0]) for name in MODELS for row in make_plan(planted.model(name)).plan.steps}
    assert codes >= set(range(p.STEP_SELECTION + 1)) - set(DETERMINISTIC)


def test_every_step_has_a_mistake():
    found = set()
    for mistake in MISTAKES:
        planned = make_plan(planted.model(mistake.model))
        own = [unit for unit in units(planned) if mistake.step in unit.name]
        assert own, mistake
        found |= {int(planned.plan.steps[s, 0]) for unit in own for s in unit.steps}
    assert found == set(range(p.STEP_SELECTION + 1)) - set(DETERMINISTIC)


def test_precisions_of_scale_mixtures_have_their_law():
    """The sum of gamma variables against the engine's Polya-Gamma draws; a logistic variable from its precision."""
    rng = np.random.default_rng(1)
    size, z = np.full(3000, 2.5), np.full(3000, 1.3)
    engine = [engine_polya_gamma(rng, 2.5, 1.3) for _ in range(3000)]
    assert stats.ks_2samp(polya_gamma(size, z, rng), engine).pvalue > ALPHA
    residual = rng.logistic(size=4000)
    z = residual * np.sqrt(logistic_precision(residual, rng))
    assert stats.kstest(z, "norm").pvalue > ALPHA


def test_differences_of_location_and_spread_are_seen():
    rng = np.random.default_rng(2)
    before = rng.normal(size=300)
    other = 0.6 * before + 0.8 * rng.normal(size=300)
    assert difference(before, other) > ALPHA
    assert difference(before, other + 0.5) < 1e-9
    assert difference(before, 0.6 * other) < 1e-6


@pytest.mark.parametrize("name", ["mixed", "ordinal"])
def test_blocks_of_a_few_replicates_are_right(name):
    model = planted.model(name)
    assert right([replicate(model, 3, number) for number in range(60)])


def right(replicates) -> bool:
    found = compare(replicates)
    tests = sum(len(unit.p) for unit in found)
    assert tests > 10 and not any(unit.failures for unit in found)
    return min(unit.worst[1] for unit in found) * tests > ALPHA


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_blocks_are_right(name):
    model = planted.model(name)
    assert right([replicate(model, 1, number) for number in range(COUNT)])


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.model}-{m.what}-{m.step}".replace(" ", "_"))
def test_a_mistake_is_caught(mistake):
    model = planted.model(mistake.model)
    count = MANY if mistake.seldom else COUNT
    found = compare([replicate(model, 2, n, mistake.plant, mistake.step) for n in range(count)])
    assert found and min(unit.worst[1] for unit in found) < ALPHA, [unit.worst for unit in found]
