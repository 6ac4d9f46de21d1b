"""Which residual variances differ between units, and how."""

from __future__ import annotations

from mlbayes.model.model import Distribution, Equation, Model, Role


def has_log_variance(model: Model, equation: Equation) -> bool:
    """Does the residual variance have an equation of its own (`var(y) ~ ...`)."""
    return equation.distribution is not Distribution.LOG_VARIANCE and any(
        other.distribution is Distribution.LOG_VARIANCE and other.outcome == equation.outcome
        for other in model.equations
    )


def varies_between_clusters(model: Model, equation: Equation) -> bool:
    """Does each cluster of level 2 have a residual variance of its own (OPTIONS: hev).

    So it is for observed outcomes of rows whose residual variance is free and has no equation.
    """
    if "hev" not in model.settings.options or model.hierarchy.levels == 1 or equation.residual is None:
        return False
    manifest = model.variables[equation.outcome].role is not Role.LATENT
    normal = equation.distribution is Distribution.NORMAL
    return manifest and normal and equation.level == 1 and model.parameters[equation.residual].fixed is None


def is_heterogeneous(model: Model, equation: Equation) -> bool:
    """Does the residual variance differ between units: by an equation of its own, or between clusters."""
    return has_log_variance(model, equation) or varies_between_clusters(model, equation)
