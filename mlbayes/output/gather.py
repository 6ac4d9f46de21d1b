"""What the files of SAVE are made of, gathered from the model, the data, the draws and the document."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.table import Table
from mlbayes.model.model import Model
from mlbayes.output.saves import Imputations, Results
from mlbayes.results.build import parameter_draws
from mlbayes.results.conditional import conditional_tables
from mlbayes.results.document import Document, SavedOrder
from mlbayes.results.draws import Draws, Snapshot
from mlbayes.results.parameters import Parameters
from mlbayes.results.rhat import rhat_table

DATA_KEYWORDS = ("stacked", "stacked0", "separate", "avgimp", "varimp")


def imputations_of(model: Model, table: Table, draws: Draws) -> Imputations | None:
    """The completed data: every column of the data file with imputed values put in, then what OPTIONS adds."""
    snapshots = [*draws.snapshots]
    sample = snapshots[0] if snapshots else draws.snapshot_mean
    if sample is None:
        return None
    mean, variance = draws.snapshot_mean, draws.snapshot_variance
    rows = np.sort(model.used_rows)
    return Imputations(
        names=[column.title for column in table.columns.values()] + list(sample.added),
        blocks=[completed(model, table, snapshot) for snapshot in snapshots],
        original=np.column_stack([_columns(table, rows), np.full((rows.size, len(sample.added)), np.nan)]),
        mean=None if mean is None else completed(model, table, mean),
        variance=None if variance is None else completed(model, table, variance, spread=True),
        words={
            k: [column.texts[row] for row in rows]
            for k, column in enumerate(table.columns.values())
            if column.texts is not None
        },
    )


def completed(model: Model, table: Table, snapshot: Snapshot, spread: bool = False) -> NDArray[np.float64]:
    """One data set in the order of the file, shape (rows, columns); with `spread` the observed cells vary by 0."""
    rows = np.sort(model.used_rows)
    data = _columns(table, rows) * (0.0 if spread else 1.0)
    back = np.argsort(model.hierarchy.order)  # sorted rows -> file order
    for place, name in enumerate(table.columns):
        if name in snapshot.values:
            drawn = snapshot.values[name][back]
            data[:, place] = np.where(np.isnan(data[:, place]), drawn, data[:, place])
    added = [column[back] for column in snapshot.added.values()]
    return np.column_stack([data, *added])


def _columns(table: Table, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The columns of the data file, rows that are analysed only."""
    return np.column_stack([column.values[rows] for column in table.columns.values()])


def gather(model: Model, table: Table, draws: Draws, document: Document) -> Results:
    """Everything that a file of SAVE may hold."""
    imputations = imputations_of(model, table, draws)
    rows = parameter_draws(model, draws)
    parameters = Parameters(model, draws)
    conditional = [
        made for k in range(len(draws.equations)) for made in conditional_tables(k, model, draws, parameters)
    ]
    return Results(
        document=document,
        burn=draws.burn,
        kept=draws.kept,
        rows=rows,
        conditional=conditional,
        psr=rhat_table([row.values for row in rows], draws.burn),
        imputations=imputations,
        missing=table.missing_codes[0] if table.missing_codes else "NA",
        names_wanted=bool(model.settings.options & {"savevarnames", "savevariablenames"}),
    )


def saved_orders(saves: Sequence[tuple[str, str]], imputations: Imputations | None) -> list[SavedOrder]:
    """The columns of every saved data file, for the end of the report."""
    if imputations is None:
        return []
    return [
        SavedOrder(keyword, file, [*(["imp#"] if keyword.startswith("stacked") else []), *imputations.names])
        for keyword, file in saves
        if keyword in DATA_KEYWORDS
    ]
