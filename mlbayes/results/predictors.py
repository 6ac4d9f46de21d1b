"""Tables of predictor models."""

from __future__ import annotations

from collections.abc import Iterator

from mlbayes.model.model import Kind, Model, PredictorModel
from mlbayes.results.draws import PredictorDraws
from mlbayes.results.outcomes import Named
from mlbayes.results.rows import RowDraws, TableDraws, constant

MEANS_NOTE = "Only the means that predictors are centered at come from this model."


def predictor_table(
    predictor: PredictorModel, draws: PredictorDraws, model: Model, named: Named
) -> TableDraws:
    """The table of a predictor model: grand mean, then level by level, then thresholds."""
    variable = model.variables[predictor.variable]
    rows = [RowDraws("Grand Mean", draws.grand_mean, tested=True), *part_rows(predictor, draws)]
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


def part_rows(predictor: PredictorModel, draws: PredictorDraws) -> Iterator[RowDraws]:
    """Slopes and residual variance of each level."""
    for part, drawn in zip(predictor.parts, draws.parts, strict=True):
        section = f"Level {part.level}"
        for k, label in enumerate(part.labels):
            yield RowDraws(label, drawn.slopes[..., k], section, tested=True)
        yield RowDraws("Residual Var.", drawn.residual, section)
