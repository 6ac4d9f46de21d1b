"""A step that fails in the middle of a run: the equation that it draws is shown, and nothing is written."""

import pytest

from mlbayes.engine import chains
from mlbayes.plan import plan as p


@pytest.mark.parametrize(
    ("code", "shown"),
    [(p.STEP_DRAW, "a matrix is not positive definite in the "), (None, "no longer a finite number")],
)
def test_the_equation_of_the_step_is_shown(folder, mlbayes, monkeypatch, code, shown):
    def fails(plan):
        steps = plan.steps[:, 0].tolist()
        last = len(steps) if code is None else len(steps) - 1 - steps[::-1].index(code)
        return lambda *_: (3, last)

    monkeypatch.setattr(chains, "interpreter", fails)
    monkeypatch.setattr(chains, "_check_runaway", lambda *_: None)
    outcome = mlbayes(folder / "model.inp", "--output", folder / "report.txt")
    assert outcome.status == 5
    assert shown in outcome.err and "(chain 1, iteration 4)" in outcome.err and "hint:" in outcome.err
    if code is not None:
        assert "model.inp:6:8: error:" in outcome.err
        assert "MODEL: score ~ hours size | hours;\n" in outcome.err and "^^^" in outcome.err
    assert not (folder / "report.txt").exists()
