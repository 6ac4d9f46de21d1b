"""Tables of predictor models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlbayes.model.model import Kind, Model, PredictorModel
from mlbayes.results.draws import PredictorDraws
from mlbayes.results.outcomes import Named
from mlbayes.results.rows import RowDraws, TableDraws, constant

MEANS_NOTE = "Only the means that predictors are centered at come from this model."


def response_count(model: Model, predictor: PredictorModel) -> int:
    """How many responses a predictor model has: a nominal one has one for each code but the reference."""
    variable = model.variables[predictor.variable]
    return len(variable.codes) - 1 if variable.kind is Kind.NOMINAL else 1


def predictor_table(
    predictor: PredictorModel, responses: Sequence[PredictorDraws], model: Model, named: Named
) -> TableDraws:
    """The table of a predictor model: grand means, then level by level, then thresholds."""
    variable = model.variables[predictor.variable]
    rows = [
        RowDraws("Grand Mean" + (f": {title}" if title else ""), draws.grand_mean, tested=True)
        for title, draws in titled(predictor, responses)
    ]
    rows += part_rows(predictor, responses)
    if variable.kind is Kind.ORDINAL:
        rows.append(RowDraws("Tau 1", constant(0.0), "Thresholds"))
        for label in (f"Tau {k}" for k in range(2, len(variable.codes))):
            if f"{variable.name}: {label}" in named:
                rows.append(RowDraws(label, named[f"{variable.name}: {label}"], "Thresholds"))
    if predictor.means_only:
        return TableDraws("means", "Means Model", predictor.variable, rows, notes=[MEANS_NOTE])
    state = "Missing" if variable.incomplete else "Complete"
    if model.imputation:
        return TableDraws("fcs", f"{state} variable", predictor.variable, rows)
    return TableDraws("predictor", f"{state} predictor", predictor.variable, rows)


def titled(
    predictor: PredictorModel, responses: Sequence[PredictorDraws]
) -> list[tuple[str, PredictorDraws]]:
    """The responses with their names: `n.2` of a nominal predictor, none for the only one of others."""
    return [
        ("" if draws.code is None else f"{predictor.variable}.{draws.code}", draws) for draws in responses
    ]


def part_rows(predictor: PredictorModel, responses: Sequence[PredictorDraws]) -> Iterator[RowDraws]:
    """Slopes and residual variances of each level."""
    named = titled(predictor, responses)
    for level, part in enumerate(predictor.parts):
        section = f"Level {part.level}"
        for title, draws in named:
            for k, label in enumerate(part.labels):
                printed = f"{title} ~ {label}" if title else label
                yield RowDraws(printed, draws.parts[level].slopes[..., k], section, tested=True)
        for i, (title, draws) in enumerate(named):
            if title and level == 0:  # the covariance matrix of latent responses is known
                for other, _ in named[:i]:
                    yield RowDraws(f"Cov({title},{other})", constant(0.5), section)
            printed = f"Var({title})" if title else "Residual Var."
            yield RowDraws(printed, draws.parts[level].residual, section)
