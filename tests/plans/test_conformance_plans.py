"""The plan verifier on every conformance script that can be run, with the data cut down to few clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_joint_density import own_predictors, place, values_of
from toys import before_block
from verifier import Dense, ScriptedDraws, engine_collapsed, engine_vector

from mlbayes import pipeline
from mlbayes.engine.substitution import sum_of_squares
from mlbayes.model.build import build_model
from mlbayes.model.model import Role
from mlbayes.plan.choose import make_plan
from mlbayes.problems import ProblemError, ProblemKind
from mlbayes.source import Source

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SCRIPTS = sorted((SHARED / "conformance" / "scripts").glob("*.imp"))
SIZES = (12, 20, 40, 80)  # units of the highest level to keep, until the model can be built
ROWS = 400  # keep every so-manieth row where there are more


def spaced(count: int, most: int) -> np.ndarray:
    """At most so many of 0, 1, ..., count - 1, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))


def cut_model(path: Path):
    """The model of a script on some clusters (rows of single-level data)."""
    text = path.read_text()
    script, problems = pipeline.parse(Source(SHARED / "data" / path.name, text))
    assert problems == []
    table, rows, problems = pipeline.load(script)
    assert problems == []
    identifiers = [name.name for name in script.cluster_ids]
    counts = [np.unique(table.values(name)[rows]).size for name in identifiers]
    found: list[str] = []
    for size in SIZES:
        if identifiers:
            top = table.values(identifiers[int(np.argmin(counts))])[rows]
            first = np.unique(top, return_index=True)[1]
            clusters = top[first][spaced(first.size, size)]
            chosen = rows[np.isin(top, clusters)]
        else:
            chosen = rows[spaced(rows.size, 5 * size)]
        chosen = chosen[spaced(chosen.size, ROWS)]
        model, problems = build_model(script, table, chosen)
        if model is not None and not problems:
            return model
        found = [problem.message for problem in problems]
    pytest.skip(f"no small part of the data suits the model: {found[:1]}")


@pytest.mark.skipif(not SCRIPTS, reason="the conformance scripts (../shared) are not here")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_plan_of_a_conformance_script(path):
    model = cut_model(path)
    try:
        planned = make_plan(model)
    except ProblemError as error:
        assert all(problem.kind is ProblemKind.UNSUPPORTED for problem in error.problems)
        pytest.skip(f"cannot be run yet: {error.problems[0].message}")
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
        if (
            model.covariances
            or model.named_effects
            or model.weights  # of clusters: they define conditional distributions only
            or any(v.role is Role.LATENT for v in model.variables.values())
        ):
            continue  # the naive joint density knows none of these
        joint, quadratic = [], []
        for _ in range(2):
            t = dense.mean + scale * 0.1 * rng.normal(size=dense.size)
            store = running.store.copy()
            place(planned, store, dense, t)
            joint.append(values_of(planned, store).log_joint(own_predictors(block)))
            quadratic.append(-0.5 * float(t @ dense.precision @ t) + float(dense.linear @ t))
        np.testing.assert_allclose(np.diff(joint), np.diff(quadratic), rtol=1e-4, atol=1e-4)
