"""Coefficients that several logits of a nominal outcome have in common: in no block, and what moves with them."""

from __future__ import annotations

import numpy as np
import pytest
from toy_models import HEAD, TWO, categories2
from toys import Running, at_step, generator, model_of, plan_of, steps_of, vector

from mlbayes.engine.steps.parameters import log_density
from mlbayes.plan import plan as p
from mlbayes.plan.choose import make_plan
from mlbayes.plan.polynomial import TOP, Atom
from mlbayes.problems import ProblemError

L = Atom("parameter", "l", TOP)


def columns(n: int = 80) -> dict[str, np.ndarray]:
    """Four categories by a predictor x with a mean far from 0, and one with two values."""
    rng = generator(21)
    x, w = rng.normal(20.0, 3.0, n), (rng.random(n) < 0.4).astype(float)
    eta = np.stack([np.zeros(n), 0.2 * (x - 20.0), 0.3 + 0.2 * (x - 20.0), 0.8 * w])
    return {
        "x": x,
        "w": w,
        "n": np.argmax(eta + rng.gumbel(size=eta.shape), axis=0) + 1.0,
        "y": rng.normal(size=n),
    }


def moved_by(text: str, data: dict[str, np.ndarray]) -> tuple[object, dict[str, float]]:
    """The plan, and what a rise of b by 1 in its step adds to every coefficient."""
    planned = plan_of("DATA: t; NOMINAL: n; FIXED: x w; " + text, data)
    (number,) = steps_of(planned, p.STEP_PARAMETER)
    running = at_step(planned, number)
    row = planned.plan.parameters[planned.plan.steps[number, 1]]
    parameters = [atom for atom in planned.symbols.place if atom.kind == "parameter"]
    found = []
    for value in (0.3, 1.3):
        log_density(planned.plan, running.store, row, value, running.work)
        found.append(np.array([vector(planned, running.store, atom)[0] for atom in parameters]))
    return planned, dict(zip((atom.name for atom in parameters), found[1] - found[0], strict=True))


def test_other_coefficients_make_up_for_a_common_one():
    """The move is orthogonal to that of each other coefficient in the curvature of the log posterior density."""
    data = columns()
    planned, move = moved_by("MODEL: n ~ x@b w;", data)
    n = data["x"].size
    counts = np.array([(data["n"] == c).sum() for c in range(1, 5)]) + 0.5
    share = (counts / counts.sum())[1:]
    weights = np.diag(share) - np.outer(share, share)
    names = [term.coefficient for term in planned.model.equations[0].terms]
    design = {name: np.zeros((3, n)) for name in move}
    for k in range(3):
        for name, x in zip(names[3 * k : 3 * k + 3], (np.ones(n), data["x"], data["w"]), strict=True):
            design[name][k] += x
    assert move["b"] == 1.0
    change = sum(move[name] * design[name] for name in move)
    for name in set(move) - {"b"}:
        total = np.sum(design[name] * (weights @ change)) + move[name] / 5.0
        size = np.sum(design[name] * (weights @ design["b"]))
        assert abs(total) < 1e-4 * abs(size) + 1e-4, name


def moving(text: str, data: dict[str, np.ndarray]) -> dict[str, set[str]]:
    """What changes with each parameter that has a step of its own."""
    planned = plan_of("DATA: t; NOMINAL: n; FIXED: x w; " + text, data)
    found = {}
    for number in steps_of(planned, p.STEP_PARAMETER):
        running = at_step(planned, number)
        row = planned.plan.parameters[planned.plan.steps[number, 1]]
        log_density(planned.plan, running.store, row, 0.2, running.work)
        before = running.store.copy()
        log_density(planned.plan, running.store, row, 0.4, running.work)
        atoms = [a for a in planned.symbols.place if a.kind == "parameter"]
        changed = {a for a in atoms if vector(planned, before, a)[0] != vector(planned, running.store, a)[0]}
        target = next(a for a in changed if planned.symbols.place[a] == row[p.PARAMETER_TARGET])
        found[target.name] = {a.name for a in changed} - {target.name}
    return found


def test_what_is_elsewhere_or_has_bounds_stays():
    text = "MODEL: n ~ 1@a x@b w@c; y ~ w@c; PARAMETERS: a ~ truncate(-20, 20);"
    assert moving(text, columns()) == {"a": {"b"}, "b": set(), "c": {"b"}}
    (moved,) = moving("MODEL: n ~ x@b w; y ~ x@b;", columns()).values()
    logits = {f"logit(n).{c} ~ {name}" for c in (2, 3, 4) for name in ("Intercept", "w")}
    assert {name.replace("n.", "logit(n).", 1) if name.startswith("n.") else name for name in moved} == logits


def test_parameters_inside_functions_stay():
    text = "MODEL: n ~ 1@a x@b w@c; PARAMETERS: c = exp(a);"
    assert moving(text, columns()) == {"a": set(), "b": set()}


def test_no_block_and_no_newton_step_draws_it():
    planned = plan_of(HEAD + "NOMINAL: q; MODEL: q ~ x@l z; y ~ x@l;", categories2("x")())
    place = planned.symbols.offset(L)
    assert all(L not in {top.atom for top in block.tops} for block in planned.blocks)
    for row in planned.plan.newtons:
        values = planned.plan.index[row[p.NEWTON_VALUES] : row[p.NEWTON_VALUES] + row[p.NEWTON_SIZE]]
        assert place not in values
    (row,) = planned.plan.parameters
    assert row[p.PARAMETER_TARGET] == place and row[p.PARAMETER_BLOCK] < 0


def test_a_label_of_a_single_logit_stays_in_its_block():
    """With two categories there is one logit, which shares a coefficient with another equation in one block."""
    planned = plan_of("DATA: t; NOMINAL: b; MODEL: b ~ x@b1; y ~ x@b1;", {**columns(), "b": columns()["w"]})
    assert not steps_of(planned, p.STEP_PARAMETER)
    assert any(Atom("parameter", "b1", TOP) in {top.atom for top in block.tops} for block in planned.blocks)


def test_equal_rows_of_the_record():
    """Each logit of a draw has the same coefficient, and a constraint holds."""
    text = "DATA: t; NOMINAL: n; FIXED: x w; MODEL: n ~ x@b w@c; PARAMETERS: c = 2*b + 1;"
    planned = plan_of(text, columns())
    draws = Running.start(planned).sweeps(40, burn=20)
    places = [layout.coefficients for layout in planned.layout.equations]
    found = np.stack([draws[:, place : place + 3] for place in places], axis=1)
    np.testing.assert_array_equal(found[:, :, 1], np.repeat(found[:, :1, 1], 3, axis=1))
    np.testing.assert_allclose(found[:, :, 2], 2.0 * found[:, :, 1] + 1.0, rtol=1e-12)
    assert np.unique(found[:, 0, 1]).size == 40


def test_random_effects_that_logits_have_in_common_are_refused():
    text = TWO + "RANDOMEFFECT: u = y | 1 [g]; NOMINAL: q; MODEL: y ~ x; q ~ u;"
    with pytest.raises(ProblemError) as caught:
        make_plan(model_of(text, categories2()()))
    (problem,) = caught.value.problems
    assert problem.message == "random effects in several logits of the nominal outcome 'q' cannot be run yet"
    assert problem.span is not None


def test_predictors_far_from_zero():
    """Years as a predictor: no odds beyond any scale at the start, and the coefficient moves soon."""
    data = columns()
    data["x"] = 1900.0 + 5.0 * data["x"]
    planned = plan_of("DATA: t; NOMINAL: n; FIXED: x w; MODEL: n ~ x@b w;", data)
    draws = Running.start(planned).sweeps(400, burn=200)
    slope = draws[200:, planned.layout.equations[0].coefficients + 1]
    assert np.isfinite(draws).all()
    assert abs(np.corrcoef(slope[1:], slope[:-1])[0, 1]) < 0.5
