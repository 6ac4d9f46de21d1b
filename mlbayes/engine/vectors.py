"""Loops over vectors; the compiler turns each into vector instructions."""

import math

from numpy.typing import NDArray

from mlbayes.engine.jit import kernel


@kernel
def clear(t: NDArray, n: int) -> None:
    """T = 0."""
    for i in range(n):
        t[i] = 0.0


@kernel
def copy(t: NDArray, a: NDArray, n: int) -> None:
    """T = a."""
    for i in range(n):
        t[i] = a[i]


@kernel
def add_scaled(t: NDArray, a: NDArray, s: float, n: int) -> None:
    """T += s a."""
    for i in range(n):
        t[i] += s * a[i]


@kernel
def add_product(t: NDArray, a: NDArray, b: NDArray, n: int) -> None:
    """T += a b."""
    for i in range(n):
        t[i] += a[i] * b[i]


@kernel
def add_scaled_product(t: NDArray, a: NDArray, b: NDArray, s: float, n: int) -> None:
    """T += s a b."""
    for i in range(n):
        t[i] += s * a[i] * b[i]


@kernel
def subtract_product(t: NDArray, a: NDArray, b: NDArray, n: int) -> None:
    """T -= a b."""
    for i in range(n):
        t[i] -= a[i] * b[i]


@kernel
def multiply(t: NDArray, a: NDArray, n: int) -> None:
    """T *= a."""
    for i in range(n):
        t[i] *= a[i]


@kernel
def root_and_inverse(t: NDArray, inverse: NDArray, n: int) -> None:
    """T = sqrt(t), inverse = 1 / t."""
    for i in range(n):
        s = math.sqrt(t[i])
        t[i] = s
        inverse[i] = 1.0 / s


@kernel
def total(a: NDArray, start: int, end: int) -> float:
    """Sum of a[start:end] in four strands (a fixed order, so the same bits everywhere)."""
    s0 = 0.0
    s1 = 0.0
    s2 = 0.0
    s3 = 0.0
    i = start
    while i + 3 < end:
        s0 += a[i]
        s1 += a[i + 1]
        s2 += a[i + 2]
        s3 += a[i + 3]
        i += 4
    while i < end:
        s0 += a[i]
        i += 1
    return (s0 + s1) + (s2 + s3)


@kernel
def dot(a: NDArray, b: NDArray, start: int, end: int) -> float:
    """Sum of a b over start:end in four strands."""
    s0 = 0.0
    s1 = 0.0
    s2 = 0.0
    s3 = 0.0
    i = start
    while i + 3 < end:
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
        i += 4
    while i < end:
        s0 += a[i] * b[i]
        i += 1
    return (s0 + s1) + (s2 + s3)


@kernel
def triple_dot(a: NDArray, b: NDArray, c: NDArray, n: int) -> float:
    """Sum of a b c in four strands."""
    s0 = 0.0
    s1 = 0.0
    s2 = 0.0
    s3 = 0.0
    i = 0
    while i + 3 < n:
        s0 += a[i] * b[i] * c[i]
        s1 += a[i + 1] * b[i + 1] * c[i + 1]
        s2 += a[i + 2] * b[i + 2] * c[i + 2]
        s3 += a[i + 3] * b[i + 3] * c[i + 3]
        i += 4
    while i < n:
        s0 += a[i] * b[i] * c[i]
        i += 1
    return (s0 + s1) + (s2 + s3)
