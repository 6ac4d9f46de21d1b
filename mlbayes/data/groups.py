"""BYGROUP: the rows of each group that everything is run for separately."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.table import Table
from mlbayes.language.nodes import Name
from mlbayes.problems import Problem, ProblemKind

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """A value of the grouping variable as it is printed, and the positions of its rows in the table, ascending."""

    label: str
    rows: Rows

    @property
    def stream(self) -> int:
        """What sets its random numbers apart: made from the label alone, so that other groups have no influence."""
        return zlib.crc32(self.label.encode())

    @property
    def file_label(self) -> str:
        """The label as part of a file name."""
        return re.sub(r"[^\w.-]", "_", self.label)


def split_rows(table: Table, by: Name, rows: Rows) -> tuple[list[Group], list[Problem]]:
    """The groups among `rows` by rising value (words: in order of first appearance), or what is wrong."""
    column = table.columns.get(by.name)
    if column is None:
        return [], []  # the model says so
    values = column.values[rows]
    missing = rows[np.isnan(values)]
    if len(missing):
        message = f"the BYGROUP variable '{by.name}' has {len(missing)} missing value{'s' if len(missing) > 1 else ''}"
        hint = f"leave these rows out (FILTER: {by.name} == ...;) or give them a group"
        return [], [Problem(message, by.span, hint, ProblemKind.DATA, table.where(missing))]
    groups = []
    for value in np.unique(values):
        members = rows[values == value]
        label = f"{value:.10g}" if column.texts is None else column.texts[members[0]]
        groups.append(Group(label, members))
    names = [group.file_label for group in groups]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"two values of the BYGROUP variable '{by.name}' would both be written as '{twice[0]}'"
        return [], [Problem(message, by.span, "give the groups whole numbers", ProblemKind.DATA)]
    return groups, []


def group_problems(found: list[tuple[Group, list[Problem]]], by: str) -> list[Problem]:
    """Problems of all groups: those that every group has once, the others with the name of the group."""
    everywhere = [p for p in found[0][1] if all(p in problems for _, problems in found)] if found else []
    named = [
        Problem(f"{p.message} (group {group.label} of {by})", p.span, p.hint, p.kind, p.place)
        for group, problems in found
        for p in problems
        if p not in everywhere
    ]
    return [*everywhere, *named]
