"""The vector program, fills and cross products against numpy, instruction by instruction."""

import naive
import numpy as np
import pytest
from scipy import optimize, stats

from mlbayes.engine.program import run_fills, run_products, run_program
from mlbayes.plan import plan as p
from mlbayes.plan.builder import PlanBuilder

N = 7
A = np.array([0.3, 1.7, 2.0, -0.4, 0.9, 1.1, 5.0])
B = np.array([2.0, 0.5, 1.0, 3.0, -1.0, 0.2, 1.0])
T = np.array([1.0, -2.0, 0.5, 4.0, 0.1, 0.0, 2.0])
ORDER = np.array([6, 0, 3, 1, 2, 5, 4])


def by_row(function, values, powers):
    return np.array([function(value, power) for value, power in zip(values, powers, strict=True)])


def yeo_johnson(z, power):
    return stats.yeojohnson(np.array([z]), power)[0]


def inverse_yeo_johnson(w, power):
    return w and optimize.brentq(lambda z: yeo_johnson(z, power) - w, -1e3, 1e3, xtol=1e-14)


CASES = {
    "OP_COPY": lambda t, a, b, s: a,
    "OP_FILL": lambda t, a, b, s: np.full(N, A[0]),  # its scalar stands at a
    "OP_MULTIPLY": lambda t, a, b, s: a * b,
    "OP_ADD": lambda t, a, b, s: t + a,
    "OP_SUBTRACT": lambda t, a, b, s: t - a,
    "OP_ADD_SCALED": lambda t, a, b, s: t + B[0] * a,  # scalar b
    "OP_ADD_PRODUCT": lambda t, a, b, s: t + a * b,
    "OP_ADD_SCALED_PRODUCT": lambda t, a, b, s: t + s * a * b,
    "OP_SCALE": lambda t, a, b, s: B[0] * a,
    "OP_ADD_SCALAR": lambda t, a, b, s: t + A[0],
    "OP_RECIPROCAL": lambda t, a, b, s: 1.0 / a,
    "OP_SQUARE_ROOT": lambda t, a, b, s: np.sqrt(np.abs(a)),
    "OP_DIVIDE": lambda t, a, b, s: t / a,
    "OP_EXP": lambda t, a, b, s: np.exp(a),
    "OP_LOG": lambda t, a, b, s: np.log(np.abs(a)),
    "OP_POWER": lambda t, a, b, s: np.abs(t) ** a,
    "OP_MINIMUM": lambda t, a, b, s: np.minimum(t, a),
    "OP_MAXIMUM": lambda t, a, b, s: np.maximum(t, a),
    "OP_YEO_JOHNSON": lambda t, a, b, s: by_row(yeo_johnson, t, a),
    "OP_INVERSE_YEO_JOHNSON": lambda t, a, b, s: by_row(inverse_yeo_johnson, t, a),
    "OP_NORMAL_CDF": lambda t, a, b, s: stats.norm.cdf(a),
}
POWERS = ("OP_YEO_JOHNSON", "OP_INVERSE_YEO_JOHNSON")  # with limits at 0 and 2
OTHERS = {"OP_GATHER", "OP_SCATTER", "OP_SUM", "OP_CHOICE"}


def test_log_probability_of_a_choice():
    """Multinomial logit with the first category as the reference; 0 for units that are left out."""
    logits = np.random.default_rng(1).normal(size=(2, 6))
    places = np.array([0.0, 1.0, 2.0, -1.0, 1.0, 0.0])
    builder = PlanBuilder()
    target, code, first = builder.zeros(6), builder.vector(places), builder.vector(logits.ravel())
    builder.instruct(p.OP_CHOICE, target, 6, code, first, 3)
    plan, store = builder.finish()
    run_program(plan, store, 0, 1)
    scores = np.vstack([np.zeros(6), logits])
    expected = scores[np.maximum(places, 0).astype(int), np.arange(6)] - np.log(np.exp(scores).sum(axis=0))
    np.testing.assert_allclose(store[target : target + 6], np.where(places < 0, 0.0, expected), rtol=1e-13)


def test_every_instruction_is_tested():
    assert {name for name in dir(p) if name.startswith("OP_")} == set(CASES) | OTHERS


@pytest.mark.parametrize("form", ["compiled", "plain"])
@pytest.mark.parametrize("name", CASES)
def test_instruction(name, form):
    builder = PlanBuilder()
    a = np.abs(A) if name in ("OP_SQUARE_ROOT", "OP_LOG") else A
    a = np.resize([0.0, 0.3, 1.0, 1.7, 2.0], N) if name in POWERS else a
    target, left, right, scalar = (
        builder.vector(np.abs(T) if name == "OP_POWER" else T),
        builder.vector(a),
        builder.vector(B),
        builder.vector([2.5]),
    )
    guard = builder.vector([99.0])
    builder.instruct(getattr(p, name), target, N, left, right, scalar)
    plan, store = builder.finish()
    (run_program if form == "compiled" else run_program.py_func)(plan, store, 0, 1)
    np.testing.assert_allclose(store[target : target + N], CASES[name](T, a, B, 2.5), rtol=1e-14)
    np.testing.assert_array_equal(store[left : left + N], a)
    np.testing.assert_array_equal(store[right : right + N], B)
    assert store[guard] == 99.0


@pytest.mark.parametrize("form", ["compiled", "plain"])
def test_gather_scatter_and_sum(form):
    builder = PlanBuilder()
    builder.indices([0, 0, 0])  # so that the list does not begin at 0
    places = builder.indices(ORDER)
    a, b, t, total = builder.vector(A), builder.zeros(N), builder.zeros(N), builder.zeros(1)
    builder.instruct(p.OP_GATHER, t, N, a, places)
    builder.instruct(p.OP_SCATTER, a, N, b, places)
    builder.instruct(p.OP_SUM, total, N, a)
    plan, store = builder.finish()
    (run_program if form == "compiled" else run_program.py_func)(plan, store, 0, 3)
    np.testing.assert_array_equal(store[t : t + N], A[ORDER])
    expected = np.zeros(N)
    expected[ORDER] = A
    np.testing.assert_array_equal(store[b : b + N], expected)
    assert store[total] == pytest.approx(A.sum())


def test_instructions_run_from_first_to_last():
    builder = PlanBuilder()
    t, a = builder.vector(T), builder.vector(A)
    for _ in range(3):
        builder.instruct(p.OP_ADD, t, N, a)
    plan, store = builder.finish()
    run_program(plan, store, 1, 2)
    np.testing.assert_allclose(store[t : t + N], T + A)


@pytest.mark.parametrize("add", [0, 1])
@pytest.mark.parametrize("factors", ["", "p", "a", "b", "pa", "pb", "ab", "pab"])
def test_fills(factors, add):
    builder = PlanBuilder()
    c = np.linspace(-1.0, 2.0, N)
    vectors = {"p": A, "a": B, "b": c}
    t = builder.vector(T)
    offsets = [builder.vector(vectors[name]) if name in factors else -1 for name in "pab"]
    builder.add("fills", [t, N, *offsets, builder.scalar(-1.5), add])
    plan, store = builder.finish()
    run_fills(plan, store, 0, 1)
    expected = np.full(N, -1.5)
    for name in factors:
        expected = expected * vectors[name]
    np.testing.assert_allclose(store[t : t + N], expected + add * T, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize(
    "parents",
    [[0, 0, 1, 1, 1, 2], [1, 1, 3], [], [0], [2, 2, 2, 2, 2, 2, 2, 2, 2]],
    ids=["all", "some empty", "no rows", "one row", "one parent"],
)
def test_products_within_parents(parents, base):
    """Parents without rows, first, between and last, have the base alone."""
    rng = np.random.default_rng(4)
    builder = PlanBuilder()
    size = 5
    above = builder.unit_set(2, size, None, None)
    rows = builder.unit_set(1, len(parents), above, np.array(parents, dtype=np.int64))
    a, b = rng.normal(size=(2, len(parents)))
    known = rng.normal(size=size)
    offsets = [builder.vector(x) for x in (np.full(size, 7.0), a, b, known)]
    builder.add("products", [offsets[0], rows.number, offsets[1], offsets[2], offsets[3] if base else -1])
    plan, store = builder.finish()
    run_products(plan, store, 0, 1)
    expected = naive.cross_products(a, b, parents, size) + (known if base else 0.0)
    np.testing.assert_allclose(store[offsets[0] : offsets[0] + size], expected, rtol=1e-12, atol=1e-14)
