"""The plan verifier on every example and conformance script, with the data cut down to few clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cut_models import cut_plan
from scripts import for_each_conformance_script, for_each_example
from test_joint_density import log_densities_of_block
from toys import before_block
from verifier import Dense, ScriptedDraws, engine_collapsed, engine_vector

from mlbayes.engine.substitution import sum_of_squares


def check(planned) -> None:
    """Each block: its elimination against dense algebra, and its density against that of the model graph."""
    rng = np.random.default_rng(4)
    for block in planned.blocks:
        running = before_block(planned, block.number, sweeps=2)
        dense = Dense(planned, running.store.copy(), block)
        np.testing.assert_allclose(engine_collapsed(running, block), dense.collapsed(), rtol=1e-7)
        ScriptedDraws(running, block).draw(rng.normal(size=5))
        t = engine_vector(running.store, dense)
        for precision in {r.precision for r in block.residuals if r.squares}:
            found = sum_of_squares(planned.plan, running.store, block.number, precision)
            np.testing.assert_allclose(found, dense.squares(precision, t), rtol=1e-6)
        ScriptedDraws(running, block).draw()
        scale = np.sqrt(np.diag(np.linalg.inv(dense.precision)))
        np.testing.assert_allclose((engine_vector(running.store, dense) - dense.mean) / scale, 0.0, atol=1e-5)
        if any(planned.model.variables[name].level > 1 for name in planned.model.weights):
            continue  # weights of clusters define conditional distributions only
        states = [dense.mean + scale * 0.1 * rng.normal(size=dense.size) for _ in range(2)]
        joint, own = log_densities_of_block(running, block, dense, states)
        np.testing.assert_allclose(np.diff(joint), np.diff(own), rtol=1e-4, atol=1e-4)


@for_each_example
def test_plan_of_an_example(path: Path):
    check(cut_plan(path))


@for_each_conformance_script
def test_plan_of_a_conformance_script(path: Path):
    check(cut_plan(path))
