"""Draw everything that a model speaks of from its priors and equations, with numpy alone.

Data that nobody would analyse (numbers beyond any scale, a category that does not occur) are drawn again together
with their parameters.  Whether they are depends on the observed data alone, so given these nothing changes: the
parameters still are a draw from their posterior.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from mlbayes.calibrate.outcome_draws import draw_outcomes
from mlbayes.calibrate.patterns import with_drawn_patterns
from mlbayes.calibrate.predictor_draws import draw_predictors
from mlbayes.calibrate.prior_draws import draw_effects, draw_matrices, draw_parameters
from mlbayes.calibrate.world import LARGEST, Unusable, World
from mlbayes.model.model import Kind, Model, Role

TRIES = 1000


def simulate(model: Model, rng: Generator) -> tuple[World, int]:
    """A draw of everything, and how many draws were thrown away before it.  Raises Unusable after TRIES of these."""
    for tries in range(TRIES):
        try:
            return simulate_once(model, rng), tries
        except Unusable:
            continue
    raise Unusable


def simulate_once(model: Model, rng: Generator) -> World:
    """A draw of everything; its model has the patterns of missing values that were drawn.  Raises Unusable."""
    world = World(model)
    for name, variable in model.variables.items():
        if variable.role in (Role.FIXED, Role.UNUSED):
            world.data[name] = variable.values
    with np.errstate(over="ignore", invalid="ignore"):
        draw_parameters(world, rng)
        draw_matrices(world, rng)
        draw_data(world, rng)
    world.model = with_drawn_patterns(model, world.data)
    _check(world)
    return world


def draw_data(world: World, rng: Generator) -> None:
    """Draw effects, latent variables, predictors and outcomes given the parameters."""
    draw_effects(world, rng)
    draw_predictors(world, rng)
    draw_outcomes(world, rng)


def observed(world: World) -> Model:
    """The model with the drawn data in the place of its own, missing where these are missing."""
    variables = {
        name: replace(variable, values=np.where(variable.missing, np.nan, world.data[name]))
        if variable.role in (Role.OUTCOME, Role.PREDICTOR)
        else variable
        for name, variable in world.model.variables.items()
    }
    return replace(world.model, variables=variables)


def _check(world: World) -> None:
    """Raises Unusable for observed data that are not finite, beyond any scale, or lack a category."""
    for name, variable in world.model.variables.items():
        if variable.role not in (Role.OUTCOME, Role.PREDICTOR):
            continue
        seen = world.data[name][~variable.missing]
        if not np.isfinite(seen).all() or (seen.size and np.abs(seen).max() > LARGEST):
            raise Unusable
        if variable.kind in (Kind.ORDINAL, Kind.NOMINAL) and np.unique(seen).size < len(variable.codes):
            raise Unusable
