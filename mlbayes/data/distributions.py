"""The distributions of SIMULATE: standard noise, and what makes a draw of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from mlbayes.data.evaluate import Mask
from mlbayes.data.table import Vector


class Distribution(NamedTuple):
    """A distribution whose draws are a function of noise that does not depend on its parameters.

    `noise(rng, count)` has shape (count,); `draw(noise, *parameters)` works elementwise; `allowed(*parameters)`
    says where the parameters make sense, `needs` the same in words.
    """

    noise: Callable[[Generator, int], Vector]
    draw: Callable[..., Vector]
    allowed: Callable[..., Mask]
    needs: str


def _normal_noise(rng: Generator, count: int) -> Vector:
    return rng.standard_normal(count)


def _uniform_noise(rng: Generator, count: int) -> Vector:
    return rng.random(count)


NORMAL = Distribution(
    _normal_noise,
    lambda z, mean, variance: mean + np.sqrt(variance) * z,
    lambda mean, variance: variance >= 0.0,
    "a variance that is not negative",
)

DISTRIBUTIONS = {
    "normal": NORMAL,
    "uniform": Distribution(
        _uniform_noise,
        lambda u, lower, upper: lower + (upper - lower) * u,
        lambda lower, upper: lower <= upper,
        "a lower bound that is not above the upper one",
    ),
    "bernoulli": Distribution(
        _uniform_noise,
        lambda u, p: (u < p).astype(np.float64),
        lambda p: (p >= 0.0) & (p <= 1.0),
        "a probability between 0 and 1",
    ),
}
