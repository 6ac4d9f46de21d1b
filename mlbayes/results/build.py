"""From draws to the result document: the tables of a run, summarised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mlbayes import __version__
from mlbayes.model.model import Model
from mlbayes.results.algorithm import option_notes, options
from mlbayes.results.conditional import conditional_tables, quantity_rows
from mlbayes.results.document import (
    VERSION,
    Acceptance,
    Checkpoint,
    DataInformation,
    DataSummary,
    Document,
    ModelInformation,
    Table,
)
from mlbayes.results.draws import Draws
from mlbayes.results.fit import build_fit
from mlbayes.results.outcomes import outcome_table
from mlbayes.results.parameters import Parameters, covariance_table, generated_table
from mlbayes.results.predictors import predictor_table, response_count
from mlbayes.results.rhat import checkpoint_windows, rhat_table
from mlbayes.results.rows import RowDraws, TableDraws, after_burn_in, finite, numbered_rows
from mlbayes.results.summary import summarise_table

# A derived row may divide by zero or overflow in some draws: it shows nan then. Only those of PARAMETERS are named.
QUIET = np.errstate(all="ignore")
SHOWN = 5  # checkpoints of the burn-in at which OPTIONS: pinfo shows each R-hat


@dataclass(frozen=True)
class AllTables:
    """Every table of a run as draws, in order of printing."""

    outcomes: list[TableDraws]
    generated: list[TableDraws]
    predictors: list[TableDraws]
    residuals: list[TableDraws]

    def rows(self) -> list[RowDraws]:
        """The numbered rows: those of the burn-in table and of saved draws."""
        return list(numbered_rows(self.outcomes + self.generated + self.predictors))


def build_tables(model: Model, draws: Draws, parameters: Parameters) -> AllTables:
    """All tables as draws: block by block the equations, then the covariances of the block."""
    blocks = [equation.block for equation in model.equations] + [block.block for block in model.covariances]
    outcomes: list[TableDraws] = []
    for name in dict.fromkeys(blocks):
        for k, equation in enumerate(model.equations):
            if equation.block == name:
                outcomes.append(outcome_table(equation, draws.equations[k], model, draws.parameters))
                outcomes += conditional_tables(k, model, draws, parameters)
        for block in model.covariances:
            if block.block == name:
                outcomes.append(covariance_table(block, model, parameters))
    left = iter(draws.predictors)
    predictors = [
        predictor_table(
            predictor, list(islice(left, response_count(model, predictor))), model, draws.parameters
        )
        for predictor in model.predictor_models
    ]
    generated = generated_table(model, parameters, quantity_rows(model, draws, parameters))
    return AllTables(outcomes, generated, predictors, residual_tables(model, draws))


def residual_tables(model: Model, draws: Draws) -> list[TableDraws]:
    """Correlations among residuals, a table for each level."""
    found = draws.monitors.residual_correlations
    tables = []
    for level in sorted({key[0] for key in found}):
        rows = [
            RowDraws(f"{a}, {b}", values, tested=True) for (at, a, b), values in found.items() if at == level
        ]
        shown = level if model.hierarchy.levels > 1 else None
        tables.append(TableDraws("residuals", "Correlations", "", rows, level=shown))
    return tables


def burn_in_table(rhats: NDArray[np.float64], burn: int) -> list[Checkpoint]:
    """The highest R-hat over all rows at each checkpoint of the burn-in, and the number of its row.

    `rhats`: shape (rows, checkpoints).
    """
    checkpoints = []
    for k, (first, last) in enumerate(checkpoint_windows(burn)):
        column = rhats[:, k]
        if column.size == 0 or np.isnan(column).all():
            checkpoints.append(Checkpoint(first + 1, last, None, None))
        else:
            worst = int(np.nanargmax(column))
            checkpoints.append(Checkpoint(first + 1, last, finite(column[worst]), worst + 1))
    return checkpoints


def last_rhats(rhats: NDArray[np.float64]) -> list[list[float | None]]:
    """R-hats of each row at the last checkpoints of the burn-in."""
    return [[finite(value) for value in row[-SHOWN:]] for row in rhats]


def summarise(tables: list[TableDraws], burn: int, first: int = 1) -> list[Table]:
    """Tables with the figures of their rows, numbered from `first` on."""
    made = []
    for table in tables:
        made.append(summarise_table(table, burn, first))
        first += len(table.rows) if table.numbered else 0
    return made


def acceptance(draws: Draws) -> list[Acceptance]:
    """Acceptance rates, chain by chain."""
    return [
        Acceptance(chain + 1, step.variable, step.type, step.rates[chain], step.target)
        for chain in range(draws.chains)
        for step in draws.acceptance
        if chain < len(step.rates)
    ]


def undefined_quantities(model: Model, parameters: Parameters, burn: int) -> Iterator[str]:
    """Warnings of generated quantities that some draws have no number for."""
    for quantity in model.generated:
        kept = after_burn_in(parameters.generated[quantity.name], burn)
        wrong = int(np.count_nonzero(~np.isfinite(kept)))
        if wrong:
            where = "in all draws" if wrong == kept.size else f"in {wrong} of {kept.size} draws"
            name = f"'{quantity.name}'{model.in_line(quantity.span)}"
            yield (
                f"{name} is not a finite number {where} and so has no estimate: "
                "it divides by 0, or takes a function where that is not defined."
            )


@QUIET
def build_document(
    model: Model, information: ModelInformation, data: DataInformation, draws: Draws
) -> Document:
    """The result document of a run; figures come from the draws after burn-in only."""
    parameters = Parameters(model, draws)
    tables = build_tables(model, draws, parameters)
    rhats = rhat_table([row.values for row in tables.rows()], draws.burn)
    outcomes = summarise(tables.outcomes, draws.burn)
    generated_first = 1 + sum(1 for _ in numbered_rows(tables.outcomes))
    predictors_first = generated_first + sum(1 for _ in numbered_rows(tables.generated))
    monitors = draws.monitors
    return Document(
        version=VERSION,
        program=f"mlbayes {__version__}",
        options=options(model),
        option_notes=option_notes(model),
        psr=burn_in_table(rhats, draws.burn),
        parameter_rhats=last_rhats(rhats) if "pinfo" in model.settings.options else [],
        chains=draws.chains,
        iterations=draws.kept * draws.chains,
        acceptance=acceptance(draws),
        data=data,
        model=information,
        warnings=[*model.warnings, *undefined_quantities(model, parameters, draws.burn)],
        fit=build_fit(model, draws, parameters),
        summaries=[
            DataSummary(name, *(float(value) for value in values))
            for name, values in monitors.summaries.items()
        ],
        data_sets=monitors.draws,
        residual_correlations=summarise(tables.residuals, 0),
        outcome_tables=outcomes,
        generated_tables=summarise(tables.generated, draws.burn, generated_first),
        predictor_tables=summarise(tables.predictors, draws.burn, predictors_first),
        complete=draws.complete,
    )


@QUIET
def parameter_draws(model: Model, draws: Draws) -> list[RowDraws]:
    """The numbered rows with their draws, in order of printing, as saved iterations hold them."""
    return build_tables(model, draws, Parameters(model, draws)).rows()
