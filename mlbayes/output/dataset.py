"""`SAVE: dataset = f`: the data that SIMULATE made, as a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbayes.data.table import Table
from mlbayes.output.atomic import Place
from mlbayes.output.columns import Format
from mlbayes.output.saves import write_table
from mlbayes.results.document import SavedOrder

KEYWORD = "dataset"


def save_datasets(
    saves: Sequence[tuple[str, str]], table: Table, place: Place, names_wanted: bool
) -> list[SavedOrder]:
    """Write the files of this keyword among `saves`, (keyword, file name) each; returns their columns.

    Columns of TRANSFORM and occasions that were added are left out: a script that reads the file makes them again.
    """
    columns = [column for column in table.columns.values() if not column.computed]
    block = np.column_stack([column.values[: table.rows - table.added] for column in columns])
    missing = table.missing_codes[0] if table.missing_codes else "NA"
    orders = []
    for keyword, name in saves:
        if keyword == KEYWORD:
            layout = Format.of(name, missing, names_wanted)
            whole = [False] * len(columns) if layout.fixed else None
            write_table(place.target(name), [column.title for column in columns], block, layout, whole)
            orders.append(SavedOrder(keyword, name, [column.title for column in columns]))
    return orders
