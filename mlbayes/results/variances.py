"""What the variance of an outcome consists of, per draw (Rights & Sterba 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.expressions import Constant, Reference
from mlbayes.model.model import Distribution, Equation, EquationTerm, Model, Role
from mlbayes.results.draws import EquationDraws

Array = NDArray[np.float64]

LOGISTIC = (Distribution.LOGIT, Distribution.MULTINOMIAL)


@dataclass(frozen=True)
class Variances:
    """Parts of the variance of an outcome, each of shape (chains, draws) or (1, 1), and their sum."""

    explained: Array
    residual: Array
    total: Array


def residual_variance(equation: Equation, draws: EquationDraws) -> Array:
    """Residual variance on the scale of the linear predictor: 1 for probit, pi^2 / 3 for logit."""
    if equation.distribution is Distribution.PROBIT:
        return np.ones((1, 1))
    if equation.distribution in LOGISTIC:
        return np.full((1, 1), math.pi**2 / 3.0)
    return draws.residual


def outcome_variances(equation: Equation, draws: EquationDraws) -> Variances:
    """Parts and total of the model-implied variance of an outcome."""
    residual = residual_variance(equation, draws)
    total = draws.explained + residual
    for effects in draws.random:
        total = total + effects.intercepts + effects.slopes
    return Variances(draws.explained, residual, total)


def is_intercept(term: EquationTerm) -> bool:
    """Is the term the intercept."""
    return isinstance(term.expression, Constant)


def is_latent_intercept(term: EquationTerm, equation: Equation, model: Model) -> bool:
    """Does a latent variable of a higher level stand for the intercept (`y ~ 1@b0`)."""
    reference = term.expression
    return (
        isinstance(reference, Reference)
        and model.variables[reference.variable].role is Role.LATENT
        and reference.level > equation.level
        and model.parameters[term.coefficient].fixed == 1.0
        and not any(is_intercept(other) and not other.hidden for other in equation.terms)
    )
