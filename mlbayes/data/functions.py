"""Operators and functions of computed columns, row by row.

Each takes and returns arrays of shape (rows,).  They need not care for missing values or for
arguments outside their domain: the caller looks for results that are not finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.table import Vector


class Function(NamedTuple):
    """A function and how many arguments it takes (`most` None: any number)."""

    compute: Callable[..., Vector]
    least: int = 1
    most: int | None = 1


def truth(values: Vector) -> NDArray[np.bool_]:
    """Which rows are true: neither zero nor missing."""
    return (values != 0) & ~np.isnan(values)


def _as_number(holds: Callable[..., NDArray[np.bool_]]) -> Callable[..., Vector]:
    return lambda *arguments: holds(*arguments).astype(np.float64)


def _phi(x: Vector) -> Vector:
    return np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in x.tolist()], np.float64)


def _iphi(p: Vector) -> Vector:
    from statistics import NormalDist  # slow to import and seldom needed

    inverse = NormalDist().inv_cdf
    return np.array([inverse(value) if 0.0 < value < 1.0 else math.nan for value in p.tolist()], np.float64)


def _normal_pdf(x: Vector) -> Vector:
    return np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def yeo_johnson(z: Vector, power: Vector) -> Vector:
    """The transformation of Yeo & Johnson (2000), row by row."""
    own = np.where(z < 0.0, 2.0 - power, power)
    growth = np.log1p(np.abs(z))
    safe = np.where(own == 0.0, 1.0, own)
    return np.sign(z) * np.where(own == 0.0, growth, np.expm1(own * growth) / safe)


def inverse_yeo_johnson(w: Vector, power: Vector) -> Vector:
    """What `yeo_johnson` makes w of; nan where there is no such number."""
    own = np.where(w < 0.0, 2.0 - power, power)
    size = np.abs(w)
    safe = np.where(own == 0.0, 1.0, own)
    return np.sign(w) * np.expm1(np.where(own == 0.0, size, np.log1p(own * size) / safe))


def _sum(*arguments: Vector) -> Vector:
    return np.sum(arguments, axis=0)


def _mean(*arguments: Vector) -> Vector:
    return np.mean(arguments, axis=0)


def _min(*arguments: Vector) -> Vector:
    return np.min(arguments, axis=0)


def _max(*arguments: Vector) -> Vector:
    return np.max(arguments, axis=0)


def group_mean(values: Vector, groups: Vector) -> Vector:
    """For each row the mean of the values present in its group; nan without group or without values."""
    present = ~np.isnan(values) & ~np.isnan(groups)
    result = np.full(len(values), np.nan)
    ids, of_row = np.unique(groups[present], return_inverse=True)
    if not len(ids):
        return result
    means = np.bincount(of_row, values[present]) / np.bincount(of_row)
    at = np.minimum(np.searchsorted(ids, groups), len(ids) - 1)
    known = ids[at] == groups
    result[known] = means[at[known]]
    return result


OPERATORS: dict[str, Callable[..., Vector]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
    "==": _as_number(np.equal),
    "!=": _as_number(np.not_equal),
    "<": _as_number(np.less),
    "<=": _as_number(np.less_equal),
    ">": _as_number(np.greater),
    ">=": _as_number(np.greater_equal),
    "and": _as_number(lambda a, b: truth(a) & truth(b)),
    "or": _as_number(lambda a, b: truth(a) | truth(b)),
}

FUNCTIONS: dict[str, Function] = {
    "exp": Function(np.exp),
    "ln": Function(np.log),
    "log": Function(np.log),
    "sqrt": Function(np.sqrt),
    "abs": Function(np.abs),
    "phi": Function(_phi),
    "iphi": Function(_iphi),
    "normal_pdf": Function(_normal_pdf),
    "min": Function(_min, 1, None),
    "max": Function(_max, 1, None),
    "mean": Function(_mean, 1, None),
    "sum": Function(_sum, 1, None),
}
