"""Patterns of missing values that a model itself has equations for: `y.missing ~ ...` and indicators of DROPOUT.

An indicator is drawn from its equation like any other outcome, and its variable is missing where it says so.  All other
patterns, and gaps before a dropout, are those of the data.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlbayes.calibrate.world import Unusable, Vector, clusters
from mlbayes.model.model import Model, Role

Mask = NDArray[np.bool_]


def drawn_indicators(model: Model) -> dict[str, str]:
    """The variable that an indicator with an equation is about, by indicator."""
    return {
        name: variable.indicates or model.dropouts[name]
        for name, variable in model.variables.items()
        if variable.role is Role.OUTCOME and (variable.indicates or name in model.dropouts)
    }


def with_drawn_patterns(model: Model, data: dict[str, Vector]) -> Model:
    """The model with drawn values and patterns of the variables whose indicators are drawn, and of these.

    Raises Unusable where nothing of a variable is left.
    """
    values: dict[str, Vector] = {}
    for name, about in drawn_indicators(model).items():
        missing = data[name] == 1.0
        if name in model.dropouts:
            later = after_first(missing, clusters(model))
            values[name] = np.where(later, np.nan, data[name])
            missing |= later
        own = model.variables.get(about)
        if own is not None and own.role in (Role.OUTCOME, Role.PREDICTOR):
            if name in model.dropouts:
                missing |= own.missing & (model.variables[name].values == 0.0)  # gaps of the data
            values[about] = np.where(missing, np.nan, values.get(about, data[about]))
            if np.isnan(values[about]).all():
                raise Unusable
    if not values:
        return model
    changed = {name: replace(model.variables[name], values=drawn) for name, drawn in values.items()}
    return replace(model, variables=model.variables | changed)


def after_first(happened: Mask, groups: NDArray[np.int64]) -> Mask:
    """Which rows come after the first event of their group; rows of a group stand together, in order."""
    before: NDArray[np.int64] = np.cumsum(happened) - happened
    starts = np.searchsorted(groups, groups)
    return np.asarray(before > before[starts])
