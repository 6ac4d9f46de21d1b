"""The part of the document about simulated data, and the document of a script that does nothing else."""

from __future__ import annotations

import numpy as np

from mlbayes import __version__
from mlbayes.data.table import Table, Vector
from mlbayes.results.document import (
    VERSION,
    DataInformation,
    Document,
    Fit,
    ModelInformation,
    SimulatedSummary,
)
from mlbayes.results.rows import finite


def simulated_summaries(table: Table) -> list[SimulatedSummary]:
    """Summaries of the simulated variables, in the order of the columns; none for a data file."""
    return [_summary(name, values) for name, values in table.simulated.items()]


def _summary(name: str, values: Vector) -> SimulatedSummary:
    """Variance with divisor n - 1, quartiles after Hazen, as in the summaries of imputed data."""
    present = values[~np.isnan(values)]
    missing = 100.0 * (1.0 - len(present) / len(values))
    if not len(present):
        return SimulatedSummary(name, None, None, None, None, None, None, missing)
    variance = present.var(ddof=1) if len(present) > 1 else np.nan
    quartiles = np.quantile(present, (0.25, 0.5, 0.75), method="hazen")
    mean, var, sd, q25, q50, q75 = map(finite, (present.mean(), variance, np.sqrt(variance), *quartiles))
    return SimulatedSummary(name, mean, var, sd, q25, q50, q75, missing)


def simulated_document(table: Table, seed: int) -> Document:
    """The document of a script that simulates data and has no model."""
    return Document(
        version=VERSION,
        program=f"mlbayes {__version__}",
        options={"Random number seed": str(seed)},
        option_notes=[],
        psr=[],
        chains=0,
        iterations=0,
        acceptance=[],
        data=DataInformation(table.rows),
        model=ModelInformation({}),
        warnings=[],
        fit=Fit(),
        summaries=[],
        data_sets=0,
        residual_correlations=[],
        outcome_tables=[],
        generated_tables=[],
        predictor_tables=[],
        simulated=simulated_summaries(table),
        sampled=False,
    )
