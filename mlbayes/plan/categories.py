"""Categories of ordinal, nominal and count variables as numbers: codes from 0 on, thresholds to begin with."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.model import Kind, Variable

Vector = NDArray[np.float64]

UNKNOWN = -1.0  # place of a category that is missing


def category_labels(variable: Variable) -> list[float]:
    """Codes in the order of their places: those of a nominal variable begin with the reference."""
    codes = sorted(variable.codes)
    if variable.kind is Kind.NOMINAL and variable.reference in codes:
        codes.remove(variable.reference)
        codes.insert(0, variable.reference)
    return [float(code) for code in codes]


def category_places(variable: Variable) -> Vector:
    """For each unit the place of its category (0, 1, ...; a count as it is), -1 where it is missing."""
    if variable.kind is Kind.COUNT:
        return np.where(variable.missing, UNKNOWN, variable.values)
    places = np.full(variable.values.size, UNKNOWN)
    for place, label in enumerate(category_labels(variable)):
        places[variable.values == label] = place
    return places


def starting_cuts(variable: Variable) -> Vector:
    """Thresholds to begin with: normal quantiles of cumulative shares, less the first one; shape (categories - 1,).

    Every category counts half a case more than it has, so that one that never occurs has room too.
    """
    places = category_places(variable)
    counts = np.bincount(places[places >= 0].astype(np.int64), minlength=len(variable.codes)) + 0.5
    scores = np.array([NormalDist().inv_cdf(share) for share in np.cumsum(counts)[:-1] / counts.sum()])
    return scores - scores[0]
