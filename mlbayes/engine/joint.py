"""The joint normal predictor model (OPTIONS: joint), from its chain of regressions to full conditionals.

The chain x_k = sum_{l<k} b_kl x_l + d_k' f + e_k with Var(e_k) = v_k has the joint precision matrix
P = (I - B)' V^-1 (I - B); given all others, x_k has slopes -P_kl / P_kk, residual variance 1 / P_kk and
slopes [(I - B)' V^-1 D]_k / P_kk on the fixed predictors f.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.model import Model, PredictorPart
from mlbayes.plan.regressions import joint_order, preceding
from mlbayes.results.draws import PartDraws, PredictorDraws

Array = NDArray[np.float64]


def full_conditionals(model: Model, draws: list[PredictorDraws]) -> list[PredictorDraws]:
    """Predictor draws on the scale of the report from those of the chain, same order."""
    names = [m.variable for m in model.predictor_models]
    parts: dict[tuple[str, int], PartDraws] = {}
    levels = sorted({part.level for m in joint_order(model) for part in m.parts})
    for level in levels:
        parts |= _one_level(model, dict(zip(names, draws, strict=True)), level)
    return [
        PredictorDraws(
            own.grand_mean,
            tuple(
                parts.get((m.variable, part.level), kept)
                for part, kept in zip(m.parts, own.parts, strict=True)
            ),
        )
        for m, own in zip(model.predictor_models, draws, strict=True)
    ]


def _one_level(
    model: Model, draws: dict[str, PredictorDraws], level: int
) -> dict[tuple[str, int], PartDraws]:
    """Full conditionals of every predictor at one level."""
    chain: list[tuple[str, PredictorPart, PartDraws]] = []
    for m in joint_order(model):
        for part, own in zip(m.parts, draws[m.variable].parts, strict=True):
            if part.level == level:
                chain.append((m.variable, part, own))
    order = [name for name, _, _ in chain]
    used = [reference for name, part, _ in chain for reference in preceding(model, name, part)[0]]
    fixed = list(dict.fromkeys(reference for reference in used if reference.variable not in order))
    shape = chain[0][2].residual.shape
    steps = np.zeros((*shape, len(order), len(order)))
    slopes = np.zeros((*shape, len(order), len(fixed)))
    variances = np.stack([own.residual for _, _, own in chain], axis=-1)
    for k, (name, part, own) in enumerate(chain):
        steps[..., k, k] = 1.0
        for i, reference in enumerate(preceding(model, name, part)[0]):
            if reference.variable in order:
                steps[..., k, order.index(reference.variable)] = -own.slopes[..., i]
            else:
                slopes[..., k, fixed.index(reference)] = own.slopes[..., i]
    weighted = np.swapaxes(steps / variances[..., None], -1, -2)
    precision, linear = weighted @ steps, weighted @ slopes
    result = {}
    for k, (name, part, _) in enumerate(chain):
        columns = [
            -precision[..., k, order.index(r.variable)]
            if r.variable in order
            else linear[..., k, fixed.index(r)]
            for r in part.predictors
        ]
        scale = precision[..., k, k]
        stacked = np.stack(columns, axis=-1) / scale[..., None] if columns else np.zeros((*shape, 0))
        result[name, level] = PartDraws(stacked, 1.0 / scale)
    return result
