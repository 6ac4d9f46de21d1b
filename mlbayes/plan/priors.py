"""Priors as the planner takes them."""

from __future__ import annotations

from mlbayes.model.model import Family, Prior
from mlbayes.plan.symbols import unsupported

PREDICTOR_VARIANCE = (1.0, 0.5)  # inverse gamma prior of residual variances in predictor models
CATEGORICAL_PRIOR = 5.0  # prior variance of coefficients in models of categorical variables
DISPERSION_PRIOR = 10.0  # prior variance of the logarithm of a count outcome's dispersion, mean 0


def inverse_gamma_arguments(prior: Prior) -> tuple[float, float]:
    """Arguments (a, b) of a prior on a variance; flat is IG(-1, 0)."""
    if prior.family is Family.FLAT:
        return -1.0, 0.0
    if prior.family is Family.INVERSE_GAMMA:
        return prior.arguments[0], prior.arguments[1]
    if prior.family is Family.INVERSE_WISHART:
        return 0.5 * prior.arguments[0], 0.5 * prior.arguments[1]
    raise unsupported(f"a {prior.family.value} prior on a variance cannot be run", "use ig(a, b)")
