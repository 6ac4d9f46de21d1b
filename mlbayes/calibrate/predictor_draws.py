"""Predictors drawn from their models, and the parameters of these, with numpy alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from mlbayes.calibrate.prior_draws import PREDICTOR_VARIANCE
from mlbayes.calibrate.world import World, chain_predictors, labels_of, predictor_chain, response_names
from mlbayes.model.model import Kind

CATEGORICAL = 5.0  # prior variance of coefficients of latent responses of predictors


def draw_predictors(world: World, rng: Generator) -> None:
    """Predictor models along the chain; the covariance matrices of continuous ones as what the chain is made of."""
    model = world.model
    chain = predictor_chain(model)
    joint = "joint" in model.settings.options
    for own in chain:
        categorical = model.variables[own.variable].kind is not Kind.CONTINUOUS
        for name in response_names(model, own.variable):
            for part in range(len(own.parts)):
                used, earlier = chain_predictors(model, own.variable, part)
                shrunk = earlier if joint and not (categorical and part == 0) else 0
                _draw_part(world, name, own.variable, part, len(used), shrunk, categorical, rng)
            if categorical:
                world.grand[name] = math.sqrt(CATEGORICAL) * rng.standard_normal()
            else:
                mean, variance = model.further.predictors[own.variable].grand
                world.grand[name] = mean + math.sqrt(variance) * rng.standard_normal()
    for own in chain:
        for part in reversed(range(len(own.parts))):
            _draw_level(world, own.variable, part, rng)


def _draw_part(
    world: World,
    name: str,
    variable: str,
    part: int,
    slopes: int,
    shrunk: int,
    categorical: bool,
    rng: Generator,
) -> None:
    """Slopes and residual variance of a part.

    In the joint normal model a residual variance v is IG((k + 1) / 2, 1 / 2) for the k-th predictor of the level and
    its slopes on the k - 1 before it are N(0, v).  Of a categorical predictor all slopes are N(0, 5); those that have
    both priors have their product.
    """
    while True:
        shape, scale = (1.0 + 0.5 * shrunk, 0.5) if shrunk else PREDICTOR_VARIANCE
        residual = 1.0 if categorical and part == 0 else scale / rng.standard_gamma(shape)
        values = rng.standard_normal(slopes)
        values[:shrunk] *= math.sqrt(residual)
        if categorical:
            values[shrunk:] *= math.sqrt(CATEGORICAL)
            if math.log(rng.random()) > -0.5 * float((values[:shrunk] ** 2).sum()) / CATEGORICAL:
                continue
        else:
            first = slopes - len(world.model.further.predictors[variable].slopes[part])
            values[first:] *= np.sqrt(world.model.further.predictors[variable].slopes[part])
        break
    world.slopes[name, part], world.residuals[name, part] = values, residual


def _draw_level(world: World, variable: str, part: int, rng: Generator) -> None:
    """Values of one part of a predictor: cluster means, or values and latent responses with their categories."""
    model = world.model
    own = next(m for m in model.predictor_models if m.variable == variable)
    level, kind = own.parts[part].level, model.variables[variable].kind
    names = response_names(model, variable)
    noise = rng.standard_normal((len(names), world.units(level)))
    if part == 0 and kind is Kind.NOMINAL:
        noise = np.linalg.cholesky(0.5 * (np.eye(len(names)) + 1.0)) @ noise
    for name, own_noise in zip(names, noise, strict=True):
        mean = world.predictor_mean(name, own, part)
        values = mean + math.sqrt(world.residuals[name, part]) * own_noise
        if part:
            world.means[name, level] = values
        elif kind is Kind.CONTINUOUS:
            world.data[name] = values
        else:
            world.responses[name] = values
    if part:
        return
    labels = labels_of(model.variables[variable])
    if kind is Kind.ORDINAL:
        world.data[variable] = labels[np.searchsorted(world.cuts[variable], world.responses[variable])]
    elif kind is Kind.NOMINAL:
        utilities = np.stack([np.zeros(world.units(level)), *(world.responses[name] for name in names)])
        world.data[variable] = labels[utilities.argmax(axis=0)]
