"""Blocks with more units than a chunk, bounded coefficients, and errors that the verifier finds."""

from __future__ import annotations

import numpy as np
import pytest
from rates import ALPHA
from scipy import stats
from test_covariance_steps import dense_interweaving
from toy_models import made
from toys import Running, at_step, before_block, generator, plan_of, steps_of
from verifier import Dense, ScriptedDraws, engine_collapsed, engine_vector

from mlbayes.engine.elimination import eliminate
from mlbayes.engine.steps.covariances import gather_entries, interweaving_system
from mlbayes.engine.substitution import draw_top, sum_of_squares
from mlbayes.plan import plan as p

HEAD = "DATA: t; MISSING: NA; "


def clusters_of_two():
    """More clusters than a chunk has units."""
    rng = generator(1)
    g = np.repeat(np.arange(p.CHUNK + 80), 2)
    x, u = rng.normal(size=g.size), rng.normal(size=g.max() + 1)
    columns = {"g": g, "x": x, "y": 1.0 + 0.5 * x + u[g] + rng.normal(size=g.size)}
    return plan_of(HEAD + "CLUSTERID: g; FIXED: x; MODEL: y ~ x;", columns)


def chunks_within_a_parent():
    """Level-3 units whose level-2 units lie in two chunks; one parent is larger than a chunk."""
    rng = generator(2)
    k_of_g = np.concatenate([np.repeat(np.arange(20), 3), np.full(p.CHUNK + 30, 20), [21, 22, 23]])
    g = np.arange(k_of_g.size)
    u3, u2 = rng.normal(size=24), rng.normal(size=g.size)
    g = np.repeat(g, 2)
    x = rng.normal(size=g.size)
    y = 0.5 * x + u3[k_of_g[g]] + u2[g] + rng.normal(size=g.size)
    return plan_of(HEAD + "CLUSTERID: g k; FIXED: x; MODEL: y ~ x;", {"k": k_of_g[g], "g": g, "x": x, "y": y})


def many_cells():
    """More missing values than a chunk has units, some clusters without any."""
    rng = generator(3)
    g = np.repeat(np.arange(60), 30)
    x = rng.normal(size=60)[g] + rng.normal(size=g.size)
    y = 0.5 * x + rng.normal(size=60)[g] + rng.normal(size=g.size)
    x[(rng.random(g.size) < 0.75) & (g > 5)] = np.nan
    assert np.isnan(x).sum() > p.CHUNK
    return plan_of(HEAD + "CLUSTERID: g; MODEL: y ~ x;", {"g": g, "x": x, "y": y})


@pytest.mark.parametrize("build", [clusters_of_two, chunks_within_a_parent, many_cells])
def test_blocks_larger_than_a_chunk(build):
    planned = build()
    for block in planned.blocks:
        running = before_block(planned, block.number, sweeps=2)
        dense = Dense(planned, running.store.copy(), block)
        np.testing.assert_allclose(engine_collapsed(running, block), dense.collapsed(), rtol=1e-9)
        ScriptedDraws(running, block).draw()
        t = engine_vector(running.store, dense)
        np.testing.assert_allclose(t, dense.mean, rtol=1e-6, atol=1e-8)
        for precision in {r.precision for r in block.residuals if r.squares}:
            found = sum_of_squares(planned.plan, running.store, block.number, precision)
            np.testing.assert_allclose(found, dense.squares(precision, t), rtol=1e-9)


@pytest.mark.parametrize("build", [clusters_of_two, chunks_within_a_parent])
def test_interweaving_over_chunks(build):
    planned = build()
    number = steps_of(planned, p.STEP_INTERWEAVE)[0]
    running = at_step(planned, number, sweeps=2)
    block = planned.blocks[-1]
    dense = Dense(planned, running.store.copy(), block)
    precision, linear = dense_interweaving(dense, engine_vector(running.store, dense))
    row = planned.plan.blocks[block.number]
    count = gather_entries(planned.plan, running.store, row, running.work)
    interweaving_system(planned.plan, running.store, row, count, running.work)
    n = linear.size
    np.testing.assert_allclose(running.work.vectors[0][:n], linear, rtol=1e-9, atol=1e-9)
    lower = np.tril_indices(n)
    np.testing.assert_allclose(running.work.dense[0][:n, :n][lower], precision[lower], rtol=1e-9, atol=1e-9)


# ------------------------------------------------------------------ bounds
def test_a_bounded_coefficient_has_a_truncated_normal_law():
    """Of several coefficients one is bounded: its law is its marginal normal, truncated."""
    rng = generator(4)
    x, z = rng.normal(size=(2, 40))
    columns = {"x": x, "z": x + z, "y": 0.3 * x + rng.normal(size=40)}
    planned = plan_of(HEAD + "FIXED: x z; MODEL: y ~ x@a z; PARAMETERS: a ~ truncate(.2, .6);", columns)
    block = planned.blocks[0]
    running = before_block(planned, 0)
    dense = Dense(planned, running.store.copy(), block)
    k = [top.bounds is not None for top in block.tops].index(True)
    eliminate(planned.plan, running.store, 0, True, running.work)
    draws = np.empty(3000)
    for i in range(draws.size):
        for _ in range(15):  # two scans each
            assert draw_top(planned.plan, running.store, 0, running.rng, running.work)
        draws[i] = running.store[block.values + k]
    assert ((draws > 0.2) & (draws < 0.6)).all()
    mean, sd = dense.mean[dense.parts[k].first], np.sqrt(np.linalg.inv(dense.precision)[k, k])
    law = stats.truncnorm((0.2 - mean) / sd, (0.6 - mean) / sd, mean, sd)
    assert stats.kstest(draws, law.cdf).pvalue > ALPHA


def test_bounds_hold_in_every_step():
    from toys import holed, two_level

    text = HEAD + "CLUSTERID: g; MODEL: y ~ x@a z | x; PARAMETERS: a ~ truncate(.3, .4);"
    planned = plan_of(text, holed(two_level, ("y", "x")))
    place = planned.layout.equations[0].coefficients
    found = Running.start(planned).sweeps(300)[:, place + 1]
    assert ((found > 0.3) & (found < 0.4)).all()
    assert found.std() > 0.0


# ------------------------------------------------------------------ the verifier is not blind
def mutated(planned, table: str, row: int, column: int, value: int):
    """The plan with one number of one table changed."""
    changed = getattr(planned.plan, table).copy()
    changed[row, column] = value
    return planned.plan._replace(**{table: changed})


@pytest.mark.parametrize(
    ("table", "field"),
    [("maps", p.MAP_SCALE), ("maps", p.MAP_COLUMN), ("mixes", p.MIX_PRECISION), ("mixes", p.MIX_COLUMN),
     ("mixes", p.MIX_VECTOR), ("tops", p.TOP_COLUMN), ("fills", p.FILL_FACTOR), ("fills", p.FILL_ADD),
     ("products", p.PRODUCT_A), ("products", p.PRODUCT_BASE)],
)  # fmt: skip
def test_a_change_of_the_tables_is_found(table, field):
    """A number of the tables that is off changes what the elimination yields."""
    planned = made("missing predictor, random slope")
    block = planned.blocks[0]
    running = before_block(planned, block.number)
    dense = Dense(planned, running.store.copy(), block)
    expected = dense.collapsed()
    rows = {
        "maps": range(*(planned.plan.tiers[planned.plan.blocks[0, 0], [p.TIER_MAPS, p.TIER_MAPS_END]])),
        "mixes": range(*(planned.plan.tiers[planned.plan.blocks[0, 0], [p.TIER_MIXES, p.TIER_MIXES_END]])),
        "tops": range(1),
        "fills": range(len(planned.plan.fills)),
        "products": range(len(planned.plan.products)),
    }[table]
    spare = int(planned.plan.blocks[-1, p.BLOCK_PRIOR])  # some other place in the store
    for row in rows:
        old = getattr(planned.plan, table)[row, field]
        other = {"tops": 1 - min(old, 1)}
        if field == p.MAP_COLUMN:
            other["maps"] = 1 - min(old, 1)
        value = other.get(table, spare if field not in (p.MIX_COLUMN, p.FILL_ADD) or old else 1)
        if table == "mixes" and field == p.MIX_COLUMN:
            value = 0 if old else min(1, getattr(planned.plan, table)[row, p.MIX_ROW])
        if table == "fills" and field == p.FILL_ADD:
            value = 1 - old
        if value == old:
            continue
        changed = Running(planned, running.store.copy(), running.rng, running.work)
        changed.planned = type(planned)(
            **{**vars(planned), "plan": mutated(planned, table, row, field, value)}
        )
        for step in range(steps_of(planned, p.STEP_DRAW)[0]):
            if planned.plan.steps[step, 0] in (p.STEP_PRODUCTS, p.STEP_FILLS):
                changed.step(step)
        found = engine_collapsed(changed, block)
        if not np.isclose(found, expected, rtol=1e-8):
            return
        ScriptedDraws(changed, block).draw()  # a sign does not change the integral, but the mean
        if not np.allclose(engine_vector(changed.store, dense), dense.mean, rtol=1e-6):
            return
    pytest.fail(f"no change of field {field} of the {table} is noticed")
