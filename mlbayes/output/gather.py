"""What the files of SAVE are made of, gathered from the model, the data, the draws and the document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.table import Table
from mlbayes.model.model import Model
from mlbayes.output.saves import Blocks, Imputations, Results
from mlbayes.output.targets import NEED_IMPUTATIONS
from mlbayes.results.build import parameter_draws
from mlbayes.results.conditional import conditional_tables
from mlbayes.results.document import Document, SavedOrder
from mlbayes.results.draws import Draws, Snapshot
from mlbayes.results.parameters import Parameters

ADDED = "added#"  # not a name that a variable can have
DATA_KEYWORDS = ("stacked", "stacked0", "separate", "avgimp", "varimp")


def imputations_of(model: Model, table: Table, draws: Draws) -> Imputations | None:
    """The completed data: every column of the data file with imputed values put in, then what OPTIONS adds.

    Occasions that the data file lacks stand below its rows, and a last column tells them apart.
    """
    snapshots = draws.snapshots
    sample = snapshots[0] if len(snapshots) else draws.snapshot_mean
    if sample is None:
        return None
    mean, variance = draws.snapshot_mean, draws.snapshot_variance
    rows = np.sort(model.used_rows)
    marks = _marks(table, rows)
    return Imputations(
        names=[column.title for column in table.columns.values()]
        + list(sample.added)
        + [ADDED] * marks.shape[1],
        blocks=Blocks(len(snapshots), lambda k: completed(model, table, snapshots[k])),
        original=np.column_stack(
            [_columns(table, rows), np.full((rows.size, len(sample.added)), np.nan), marks]
        ),
        mean=None if mean is None else completed(model, table, mean),
        variance=None if variance is None else completed(model, table, variance, spread=True),
        words={
            k: [column.texts[row] for row in rows]
            for k, column in enumerate(table.columns.values())
            if column.texts is not None
        },
        rows=rows,
    )


def together(parts: Sequence[Imputations]) -> Imputations:
    """The imputations of several groups of rows as one, in the order of the data file.

    Columns that OPTIONS adds may differ between groups: where a group has none its cells are missing.
    """
    names = list(dict.fromkeys(name for part in parts for name in part.names))
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows)

    def joined(tables: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        blocks = []
        for part, table in zip(parts, tables, strict=True):
            block = np.full((len(table), len(names)), np.nan)
            block[:, [names.index(name) for name in part.names]] = table
            blocks.append(block)
        return np.concatenate(blocks)[order]

    def joined_if_any(tables: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
        known = [table for table in tables if table is not None]
        return joined(known) if len(known) == len(parts) else None

    words = {k: [word for part in parts for word in part.words[k]] for k in parts[0].words}
    return Imputations(
        names=names,
        blocks=Blocks(min(len(p.blocks) for p in parts), lambda k: joined([p.blocks[k] for p in parts])),
        original=joined_if_any([part.original for part in parts]),
        mean=joined_if_any([part.mean for part in parts]),
        variance=joined_if_any([part.variance for part in parts]),
        words={k: [column[i] for i in order] for k, column in words.items()},
        rows=rows[order],
    )


def data_saves(saves: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The files that hold completed data."""
    return [(keyword, file) for keyword, file in saves if keyword in DATA_KEYWORDS]


def reached_saves(saves: Sequence[tuple[str, str]], imputations: Imputations | None) -> list[tuple[str, str]]:
    """The files that an interrupted run can write: none of data sets when it was ended before the first of them."""
    reached = imputations is not None and len(imputations.blocks)
    return [save for save in saves if reached or save[0] not in NEED_IMPUTATIONS]


def group_saves(saves: Sequence[tuple[str, str]], label: str) -> list[tuple[str, str]]:
    """The files of one group: tables of results, whose names get the group in place of `*`, or before the suffix."""
    found = []
    for keyword, file in saves:
        if keyword not in DATA_KEYWORDS:
            pattern = file if "*" in file else str(Path(file).with_suffix("")) + "*" + Path(file).suffix
            found.append((keyword, pattern.replace("*", label)))
    return found


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
    return np.column_stack([data, *added, _marks(table, rows) * (0.0 if spread else 1.0)])


def _marks(table: Table, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """A column that is 1 in occasions that the data file lacks, shape (rows, 1); no column if none was added."""
    added = rows >= table.rows - table.added
    return added.astype(np.float64).reshape(-1, 1)[:, : int(table.added > 0)]


def _columns(table: Table, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The columns of the data file, rows that are analysed only."""
    return np.column_stack([column.values[rows] for column in table.columns.values()])


def gather(model: Model, table: Table, draws: Draws, document: Document) -> Results:
    """Everything that a file of SAVE may hold."""
    imputations = imputations_of(model, table, draws)
    parameters = Parameters(model, draws)
    conditional = [
        made for k in range(len(draws.equations)) for made in conditional_tables(k, model, draws, parameters)
    ]
    return Results(
        document=document,
        burn=draws.burn,
        kept=draws.kept,
        rows=parameter_draws(model, draws),
        conditional=conditional,
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
