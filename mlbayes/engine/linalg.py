"""Small dense linear algebra on the leading n x n part of scratch matrices.

Own loops, since LAPACK is slower at these sizes and its results depend on the processor.
"""

import math

from numpy.typing import NDArray

from mlbayes.engine.jit import kernel


@kernel
def cholesky(a: NDArray, factor: NDArray, n: int) -> float:
    """Lower Cholesky factor of the symmetric matrix in the lower triangle of `a`; returns log det a, or nan."""
    log_determinant = 0.0
    for j in range(n):
        s = a[j, j]
        for k in range(j):
            s -= factor[j, k] * factor[j, k]
        if not s > 0.0:
            return math.nan
        d = math.sqrt(s)
        factor[j, j] = d
        log_determinant += 2.0 * math.log(d)
        for i in range(j + 1, n):
            s = a[i, j]
            for k in range(j):
                s -= factor[i, k] * factor[j, k]
            factor[i, j] = s / d
    return log_determinant


@kernel
def solve_lower(factor: NDArray, b: NDArray, x: NDArray, n: int) -> None:
    """X = L^-1 b; x may be b."""
    for i in range(n):
        s = b[i]
        for k in range(i):
            s -= factor[i, k] * x[k]
        x[i] = s / factor[i, i]


@kernel
def solve_upper(factor: NDArray, b: NDArray, x: NDArray, n: int) -> None:
    """X = L'^-1 b; x may be b."""
    for i in range(n - 1, -1, -1):
        s = b[i]
        for k in range(i + 1, n):
            s -= factor[k, i] * x[k]
        x[i] = s / factor[i, i]


@kernel
def packed(i: int, j: int) -> int:
    """Place of element (i, j) in a packed lower triangle, whichever index is larger."""
    if i >= j:
        return i * (i + 1) // 2 + j
    return j * (j + 1) // 2 + i
