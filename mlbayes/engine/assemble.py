"""The recorded numbers of all chains by meaning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.model import At, ModeratorSpec
from mlbayes.plan.choose import PlannedModel
from mlbayes.plan.plan import QUANTILE_SHARES
from mlbayes.plan.record import QUARTILES, SHARES, EquationLayout, PredictorLayout, is_centred
from mlbayes.plan.regressions import OutcomeRegression, PredictorRegression
from mlbayes.results.draws import EquationDraws, ModeratorDraws, PartDraws, PredictorDraws, RandomDraws

Array = NDArray[np.float64]


def equation_draws(records: Array, r: OutcomeRegression, place: EquationLayout) -> EquationDraws:
    """Draws of an equation from records of shape (chains, draws, width)."""
    k = len(r.terms)
    random = []
    for group, covariance, parts in zip(r.equation.random, place.covariances, place.parts, strict=True):
        n = len(group.terms)
        matrix = records[:, :, covariance : covariance + n * n].reshape(*records.shape[:2], n, n)
        random.append(RandomDraws(matrix[:, :, ::-1, ::-1], records[:, :, parts], records[:, :, parts + 1]))
    return EquationDraws(
        coefficients=records[:, :, place.coefficients : place.coefficients + k],
        residual=records[:, :, place.variance],
        sd=records[:, :, place.sd : place.sd + k],
        explained=records[:, :, place.explained],
        random=tuple(random),
        centre=records[:, :, place.population] if place.population >= 0 else None,
    )


def whole_equations(planned: PlannedModel, parts: list[EquationDraws]) -> list[EquationDraws]:
    """Draws of the equations of the model from those of the planner, which has one for each logit."""
    whole: list[EquationDraws] = []
    for source in range(len(planned.model.equations)):
        own = [
            draws
            for r, draws in zip(planned.regressions.outcomes, parts, strict=True)
            if r.planned.source == source
        ]
        order = [
            t for r in planned.regressions.outcomes if r.planned.source == source for t in r.planned.positions
        ]
        back = np.argsort(order)
        whole.append(
            replace(
                own[0],
                coefficients=np.concatenate([draws.coefficients for draws in own], axis=-1)[..., back],
                sd=np.concatenate([draws.sd for draws in own], axis=-1)[..., back],
                random=tuple(random for draws in own for random in draws.random),
            )
            if len(own) > 1
            else own[0]
        )
    return whole


def threshold_draws(planned: PlannedModel, records: Array) -> dict[str, Array]:
    """Thresholds by the names of their rows, the first (0) left out."""
    outcomes = [r.equation.title for r in planned.regressions.outcomes]
    predictors = [parts[0].name for parts in planned.regressions.predictor_responses()]
    layout = planned.layout
    places = [(place.cuts, place.cut_count) for place in layout.equations]
    places += [(place.cuts, place.cut_count) for place in layout.predictors]
    return {
        f"{title}: Tau {k + 2}": records[:, :, cuts + k]
        for title, (cuts, count) in zip([*outcomes, *predictors], places, strict=True)
        for k in range(count)
    }


def power_draws(planned: PlannedModel, records: Array) -> dict[str, Array]:
    """Powers of transformed outcomes by the names of their rows."""
    return {
        f"{r.equation.title}: Yeo-Johnson (lambda)": records[
            :, :, planned.layout.parameters[r.transformation.power.name]
        ]
        for r in planned.regressions.outcomes
        if r.transformation is not None and r.transformation.power is not None
    }


def spread_draws(planned: PlannedModel, records: Array) -> dict[str, Array]:
    """Quartiles of residual variances that differ between units, and heterogeneity indices, by names of their rows."""
    found: dict[str, Array] = {}
    for r, place in zip(planned.regressions.outcomes, planned.layout.equations, strict=True):
        title = r.equation.title
        if place.population >= 0:
            found[f"{title}: Heterogeneity Index"] = records[:, :, place.population + 1]
        if place.spread >= 0:
            for k, share in enumerate(QUARTILES):
                found[f"{title}: Q{round(100 * share)}% Residual Var."] = records[:, :, place.spread + k]
    return found


def predictor_draws(
    records: Array, parts: list[PredictorRegression], place: PredictorLayout
) -> PredictorDraws:
    """Draws of a response of a predictor model, given its parts."""
    drawn = [
        PartDraws(
            records[:, :, slopes : slopes + len(part.slopes)],
            np.ones(records.shape[:2]) if part.fixed else 1.0 / records[:, :, precision],
        )
        for part, slopes, precision in zip(parts, place.slopes, place.precisions, strict=True)
    ]
    return PredictorDraws(records[:, :, place.grand_mean], tuple(drawn), parts[0].code)


def correlation_draws(planned: PlannedModel, records: Array) -> dict[str, Array]:
    """Residual correlations by the names of their parameters."""
    found: dict[str, Array] = {}
    matrices = zip(planned.model.covariances, planned.layout.residual_covariances, strict=True)
    for block, place in matrices:
        m = len(block.members)
        for i in range(m):
            for j in range(i):
                name = block.correlations.get((j, i), f"Cor({block.members[j]},{block.members[i]})")
                scale = records[:, :, place + i * (m + 1)] * records[:, :, place + j * (m + 1)]
                found[name] = records[:, :, place + i * m + j] / np.sqrt(scale)
    return found


def average_covariance_draws(planned: PlannedModel, records: Array) -> dict[str, Array]:
    """Means over units of residual covariances that differ between them, by the names of their rows."""
    return {
        f"Cov({block.members[j]},{block.members[i]})": records[:, :, place]
        for block, places in zip(planned.model.covariances, planned.layout.average_covariances, strict=True)
        for (i, j), place in places.items()
    }


def parameter_draws(
    planned: PlannedModel, records: Array, equations: list[EquationDraws], correlations: dict[str, Array]
) -> dict[str, Array]:
    """Draws by the names of parameters."""
    found = dict(correlations) | average_covariance_draws(planned, records)
    found |= {name: records[:, :, place] for name, place in planned.layout.parameters.items()}
    for r, draws in zip(planned.regressions.outcomes, equations, strict=True):
        for t, term in enumerate(r.equation.terms):
            found.setdefault(term.coefficient, draws.coefficients[:, :, t])
        if r.equation.residual is not None:
            found.setdefault(r.equation.residual, draws.residual)
        for group, random in zip(r.equation.random, draws.random, strict=True):
            if group.variance is not None:
                found.setdefault(group.variance, random.covariance[:, :, 0, 0])
    return found


def moderator_draws(records: Array, moderator: ModeratorSpec, place: int) -> ModeratorDraws:
    """The values at which a moderator is held in each draw; none for one that is held at a parameter."""
    if place < 0:
        return ModeratorDraws(np.array(moderator.values, dtype=np.float64).reshape(1, 1, -1))
    if moderator.at is At.CODES:
        return ModeratorDraws(np.array(moderator.values, dtype=np.float64) - records[:, :, place, None])
    if moderator.at in SHARES:
        return ModeratorDraws(records[:, :, place : place + QUANTILE_SHARES])
    mean = records[:, :, place, None]
    sd = records[:, :, place + 1, None]
    if is_centred(moderator):
        mean = np.zeros_like(mean)
    return ModeratorDraws(mean + sd * np.array([1.0, 0.0, -1.0]))
