"""Sampling weights and how they are scaled.

With weights of rows alone a row has residual variance sigma^2 / w, which is a model.  With weights of clusters the
sampler is a weighted one: see mlbayes.plan.weighted_rule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.model import Model

Vector = NDArray[np.float64]


def weight_of_level(model: Model, level: int) -> Vector | None:
    """The weights that vary at a level, None where there are none."""
    found = [model.variables[name] for name in model.weights if model.variables[name].level == level]
    return found[0].values if found else None


def within_weights(model: Model) -> Vector:
    """Weights of rows, scaled to sum to the size of each cluster (of the data without clusters)."""
    n = model.hierarchy.units[0]
    weights = weight_of_level(model, 1)
    if weights is None:
        return np.ones(n)
    clusters = model.hierarchy.parents[0] if model.hierarchy.levels > 1 else np.zeros(n, dtype=np.int64)
    return weights * (np.bincount(clusters) / np.bincount(clusters, weights))[clusters]


def cluster_weights(model: Model) -> Vector | None:
    """Weights of clusters, scaled to sum to their number; None without any."""
    weights = weight_of_level(model, 2)
    return None if weights is None else weights * weights.size / weights.sum()


def row_weights(model: Model) -> Vector:
    """Products of both, scaled to sum to the number of rows."""
    weights = within_weights(model)
    clusters = cluster_weights(model)
    if clusters is not None:
        weights = weights * clusters[model.hierarchy.parents[0]]
    return weights * weights.size / weights.sum()
