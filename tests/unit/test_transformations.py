"""Left sides of equations as chains of functions with inverses."""

import numpy as np
import pytest
from toys import generator, model_of, plan_of

from mlbayes.plan.transformations import transformation_of
from mlbayes.problems import ProblemError, ProblemKind

N = 40
Y = np.linspace(0.5, 6.0, N)
X = generator(1).normal(size=N)


def columns(y=Y):
    return {"y": y, "x": X}


def transformation(left: str, y=Y):
    model = model_of(f"DATA: toy.dat; FIXED: x; MODEL: {left} ~ x;", columns(y))
    return transformation_of(model.equations[0], y)


CASES = {
    "ln(y + 1)": (lambda y: np.log(y + 1.0), (-np.inf, np.inf)),
    "sqrt(y)": (np.sqrt, (0.0, np.inf)),
    "(3 - 2*sqrt(y))": (lambda y: 3.0 - 2.0 * np.sqrt(y), (-np.inf, 3.0)),
    "(1/(y + 1))": (lambda y: 1.0 / (y + 1.0), (0.0, np.inf)),
    "(1/(y - 9))": (lambda y: 1.0 / (y - 9.0), (-np.inf, 0.0)),
    "((y - 9)^2)": (lambda y: (y - 9.0) ** 2, (0.0, np.inf)),
    "((y - 3)^3)": (lambda y: (y - 3.0) ** 3, (-np.inf, np.inf)),
    "((y - 9)^(-3))": (lambda y: (y - 9.0) ** -3, (-np.inf, 0.0)),
    "(y^2)": (np.square, (0.0, np.inf)),
    "(y^0.3/5)": (lambda y: y**0.3 / 5.0, (0.0, np.inf)),
    "exp(-y)": (lambda y: np.exp(-y), (0.0, np.inf)),
    "(2^y + 1)": (lambda y: 2.0**y + 1.0, (1.0, np.inf)),
    "ln(exp(y) + sqrt(4))": (lambda y: np.log(np.exp(y) + 2.0), (np.log(2.0), np.inf)),
    "yjt(y - 2)": (lambda y: y - 2.0, (-np.inf, np.inf)),
}


@pytest.mark.parametrize("left", CASES)
def test_values_inverses_slopes_and_range(left):
    function, bounds = CASES[left]
    made = transformation(left)
    np.testing.assert_allclose(made.forward(Y), function(Y), rtol=1e-12)
    np.testing.assert_allclose(made.inverse(function(Y)), Y, rtol=1e-9)
    step = 1e-5
    slope = np.abs(function(Y + step) - function(Y - step)) / (2.0 * step)
    np.testing.assert_allclose(made.log_slope(Y), np.log(slope), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(made.range, bounds)
    for bound, outside in zip(bounds, (-0.1, 0.1), strict=True):
        if np.isfinite(bound):
            assert np.isnan(made.inverse(np.array([bound + outside]))).all()


@pytest.mark.parametrize("power", [0.0, 0.4, 1.0, 2.0])
def test_yeo_johnson(power):
    made = transformation("yjt(y - 2)")
    w = made.forward(Y, power)
    np.testing.assert_allclose(made.inverse(w, power), Y, rtol=1e-10)
    step = 1e-6
    slope = (made.forward(Y + step, power) - made.forward(Y - step, power)) / (2.0 * step)
    np.testing.assert_allclose(made.log_slope(Y, power), np.log(slope), atol=1e-8)


REFUSED = [
    ("((y - 3)^2)", "it is not monotone over the observed values, so '((y-3)^2)' cannot be an outcome"),
    ("(y + exp(y))", "'y' occurs more than once in it, so '(y+exp(y))' cannot be an outcome"),
    ("abs(y)", "the inverse of 'abs' is not known, so 'abs(y)' cannot be an outcome"),
    ("(y*0)", "it does not depend on its variable, so '(y*0)' cannot be an outcome"),
    ("yjt(ln(y))", "yjt takes a variable plus or minus a number, so 'yjt(ln(y))' cannot be an outcome"),
]


@pytest.mark.parametrize(("left", "message"), REFUSED)
def test_what_has_no_inverse_is_refused_with_its_place(left, message):
    with pytest.raises(ProblemError) as caught:
        plan_of(f"DATA: toy.dat; FIXED: x; MODEL: {left} ~ x;", columns())
    (problem,) = caught.value.problems
    assert (problem.message, problem.kind) == (message, ProblemKind.UNSUPPORTED)
    assert problem.span is not None
    assert problem.hint


@pytest.mark.parametrize("left", ["ln(y - 1)", "sqrt(y - 1)", "(1/(y - 0.5))"])
def test_values_outside_of_the_domain_are_a_problem_of_the_data(left):
    with pytest.raises(ProblemError) as caught:
        plan_of(f"DATA: toy.dat; FIXED: x; MODEL: {left} ~ x;", columns())
    (problem,) = caught.value.problems
    assert problem.kind is ProblemKind.DATA
    assert "is not a finite number for some of the observed values" in problem.message
    assert problem.span is not None


def test_a_square_root_at_zero_has_no_slope_that_counts():
    assert transformation("sqrt(y)", np.where(Y < 1.0, 0.0, Y)).log_slope(np.zeros(1)) == 0.0
