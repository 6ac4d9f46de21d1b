"""Residual covariance matrices (`~~`): their places in the store, and whether their parts are drawn apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mlbayes.model.model import CovarianceBlock, Model, Parameter, ParameterKind
from mlbayes.plan.priors import inverse_gamma_arguments
from mlbayes.plan.regressions import OutcomeRegression, ResidualCovariance
from mlbayes.plan.symbols import Symbols

UNIT_VARIANCE = Parameter("", ParameterKind.VARIANCE, fixed=1.0)  # of latent responses


def residual_covariance(
    symbols: Symbols, block: CovarianceBlock, locations: Sequence[OutcomeRegression]
) -> ResidualCovariance:
    """Make room for a residual covariance matrix and tell its equations, which are among `locations`."""
    members = [next(r for r in locations if r.equation.outcome == name) for name in block.members]
    m = len(members)
    precision, factor = (symbols.builder.zeros(m * (m + 1) // 2) for _ in range(2))
    name = " ".join(block.members)
    for i, r in enumerate(members):
        r.covariance = name
        r.precision = precision + i * (i + 3) // 2
    df, scale = block.prior.arguments
    units = symbols.units(block.level)
    made = ResidualCovariance(name, tuple(r.number for r in members), precision, factor, df, scale, units)
    return _separate(symbols, made, block, members) if _has_parts(symbols.model, block, members) else made


def _has_parts(model: Model, block: CovarianceBlock, members: Sequence[OutcomeRegression]) -> bool:
    """Are variances and correlations apart: by OPTIONS: use_phantom, or since some are fixed or equal.

    Those of latent responses are fixed at 1, and so are those of residuals that are divided by standard deviations
    which differ between units.
    """
    names = [e.residual for e in model.equations if e.outcome in block.members and e.residual]
    names += block.correlations.values()
    constrained = any(model.parameters[name].fixed is not None for name in names)
    equal = len(set(names)) < len(names)
    scaled = any(not r.normal or r.heterogeneous for r in members)
    return constrained or equal or scaled or "use_phantom" in model.settings.options


def _separate(
    symbols: Symbols,
    made: ResidualCovariance,
    block: CovarianceBlock,
    members: Sequence[OutcomeRegression],
) -> ResidualCovariance:
    """The parts of a matrix: standard deviations and correlations, some of them fixed or equal to others."""
    builder, parameters = symbols.builder, symbols.model.parameters
    m = len(members)
    first: dict[str, int] = {}  # where a parameter stands first among the parts
    shared: list[tuple[int, int]] = []
    sds, correlations = np.ones(m), np.zeros(m * (m + 1) // 2)
    free_sds: list[int] = []
    free_correlations: list[int] = []
    priors: list[float] = []
    for i, r in enumerate(members):
        correlations[i * (i + 3) // 2] = 1.0
        residual = r.equation.residual
        parameter = parameters[residual] if residual is not None else UNIT_VARIANCE
        priors += inverse_gamma_arguments(parameter.prior)
        if parameter.fixed is not None:
            sds[i] = np.sqrt(parameter.fixed)
        elif parameter.name in first:
            shared.append((i, first[parameter.name]))
        else:
            first[parameter.name] = i
            free_sds.append(i)
        for j in range(i):
            place = i * (i + 1) // 2 + j
            name = block.correlations.get((j, i))
            fixed = parameters[name].fixed if name is not None else None
            if fixed is not None:
                correlations[place] = fixed
            elif name is not None and name in first:
                shared.append((m + place, first[name]))
            else:
                if name is not None:
                    first[name] = m + place
                free_correlations.append(place)
    parts = builder.vector([*sds, *correlations, *priors])
    free = [*free_sds, *free_correlations]
    pairs = [place for pair in shared for place in pair]
    offset = builder.indices([len(free_sds), len(free_correlations), *free, len(shared), *pairs])
    return replace(made, parts=parts, free=offset, free_count=len(free), shared=tuple(shared))
