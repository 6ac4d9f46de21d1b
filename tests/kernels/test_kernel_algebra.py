"""Small linear algebra and vector loops against numpy, compiled and not."""

import math

import numpy as np
import pytest

from mlbayes.engine import linalg, vectors

SIZES = [0, 1, 2, 3, 5, 8]
both = pytest.mark.parametrize("form", ["compiled", "plain"])


def pick(function, form):
    return function if form == "compiled" else function.py_func


def positive(n, seed=1):
    a = np.random.default_rng(seed).normal(size=(n, n + 3))
    return a @ a.T + 0.1 * np.eye(n)


@both
@pytest.mark.parametrize("n", SIZES)
def test_cholesky(n, form):
    a = positive(n)
    scratch = np.full((n + 2, n + 2), 7.0)  # the leading part only is used
    scratch[:n, :n] = np.tril(a)
    factor = np.zeros((n + 2, n + 2))
    found = pick(linalg.cholesky, form)(scratch, factor, n)
    np.testing.assert_allclose(factor[:n, :n], np.linalg.cholesky(a) if n else a, rtol=1e-12, atol=1e-14)
    assert found == pytest.approx(np.linalg.slogdet(a)[1], abs=1e-10)


@both
@pytest.mark.parametrize("bad", [-1.0, 0.0, math.nan])
def test_cholesky_says_when_a_matrix_is_not_positive_definite(bad, form):
    a = np.diag([1.0, bad, 2.0])
    assert math.isnan(pick(linalg.cholesky, form)(a, np.zeros((3, 3)), 3))


@both
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("in_place", [False, True])
def test_triangular_solves(n, in_place, form):
    factor = np.tril(np.random.default_rng(2).normal(size=(n, n))) + 3.0 * np.eye(n)
    b = np.arange(1.0, n + 1.0)
    for solve, matrix in ((linalg.solve_lower, factor), (linalg.solve_upper, factor.T)):
        rhs = b.copy()
        x = rhs if in_place else np.zeros(n)
        pick(solve, form)(factor, rhs, x, n)
        np.testing.assert_allclose(x, np.linalg.solve(matrix, b), rtol=1e-12)


def test_packed_is_row_by_row_and_symmetric():
    rows, columns = np.tril_indices(6)
    assert [linalg.packed(i, j) for i, j in zip(rows, columns, strict=True)] == list(range(21))
    assert all(linalg.packed(i, j) == linalg.packed(j, i) for i in range(6) for j in range(6))


@both
@pytest.mark.parametrize("n", [0, 1, 3, 4, 7, 16, 33])
def test_vector_loops(n, form):
    a, b, c = np.random.default_rng(n).normal(size=(3, n + 5))
    t = c.copy()

    def after(function, *arguments):
        t[:] = c
        pick(function, form)(t, *arguments, n)
        assert (t[n:] == c[n:]).all()  # nothing behind the n-th element is touched
        return t[:n]

    a_, b_, c_ = a[:n], b[:n], c[:n]
    np.testing.assert_array_equal(after(vectors.clear), np.zeros(n))
    np.testing.assert_array_equal(after(vectors.copy, a), a_)
    np.testing.assert_allclose(after(vectors.add_scaled, a, 1.5), c_ + 1.5 * a_, atol=1e-15)
    np.testing.assert_allclose(after(vectors.add_product, a, b), c_ + a_ * b_, atol=1e-15)
    np.testing.assert_allclose(after(vectors.subtract_product, a, b), c_ - a_ * b_, atol=1e-15)
    np.testing.assert_allclose(after(vectors.multiply, a), c_ * a_)


@both
@pytest.mark.parametrize("n", [0, 1, 2, 4, 5, 11, 64])
def test_sums(n, form):
    a, b, c = np.random.default_rng(n).normal(size=(3, n + 6))
    for start in (0, 1, 3):
        inside = slice(start, start + n)
        assert pick(vectors.total, form)(a, start, start + n) == pytest.approx(a[inside].sum(), abs=1e-12)
        assert pick(vectors.dot, form)(a, b, start, start + n) == pytest.approx(
            a[inside] @ b[inside], abs=1e-12
        )
    found = pick(vectors.triple_dot, form)(a, b, c, n)
    assert found == pytest.approx((a[:n] * b[:n] * c[:n]).sum(), abs=1e-12)


@both
def test_root_and_inverse(form):
    t = np.array([4.0, 0.25, 1e-300, -1.0])
    inverse = np.zeros(4)
    pick(vectors.root_and_inverse, form)(t, inverse, 3)
    np.testing.assert_allclose(t, [2.0, 0.5, 1e-150, -1.0])
    np.testing.assert_allclose(inverse, [0.5, 2.0, 1e150, 0.0])


def test_compiled_and_plain_sums_have_the_same_bits():
    a, b = np.random.default_rng(8).normal(size=(2, 1000))
    assert vectors.total(a, 3, 990) == vectors.total.py_func(a, 3, 990)
    assert vectors.dot(a, b, 3, 990) == vectors.dot.py_func(a, b, 3, 990)
