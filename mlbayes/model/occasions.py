"""What a script asks of the occasions of its data: rows for those that are missing, indicators of dropout.

Runs after TRANSFORM and FILTER and before the model is built.  Without `.lag` in MODEL and without DROPOUT
nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlbayes.data.dropout import add_dropout, unseen_dropouts
from mlbayes.data.occasions import (
    Series,
    add_occasions,
    check_order,
    check_whole,
    common_step,
    informative,
    series_of,
)
from mlbayes.data.table import Column, Table
from mlbayes.language.nodes import Dropout, Name, Script
from mlbayes.model.names import Names, collect_names, used_columns, uses_lag
from mlbayes.model.units import Indices
from mlbayes.problems import Problem, ProblemError, nearest


def arrange_occasions(script: Script, table: Table, rows: Indices) -> tuple[Table, Indices, list[Problem]]:
    """The table and its rows that are analysed, in order of their positions, as MODEL and DROPOUT need them.

    With problems of the times the rows are as before.  Raises ProblemError when DROPOUT cannot be understood,
    since the model cannot be read without its indicator.
    """
    lagged = uses_lag(script, collect_names(script, table))
    check_dropout(script, table)
    if not (lagged or script.dropout):
        return table, rows, []
    if not ordered(script, table, rows):
        return with_indicators(script, table), rows, []
    assert script.time_id is not None
    steps = _Steps(script, table, rows, [name.name for name in series_names(script)], script.time_id)
    problems = steps.check(lagged)
    if problems:
        return with_indicators(script, table), rows, problems
    if lagged:
        problems = steps.add_rows()
    for dropout in script.dropout:
        steps.add_indicator(dropout)
    if script.dropout:
        steps.leave_out_dropouts()
    if lagged:
        steps.leave_out_ends()
    return replace(steps.table, warnings=tuple(steps.warnings())), np.sort(steps.rows), problems


def series_names(script: Script) -> list[Name]:
    """The variables that tell series apart; the groups of BYGROUP are data sets of their own."""
    return [*script.cluster_ids, *([script.by_group] if script.by_group else [])]


def ordered(script: Script, table: Table, rows: Indices) -> bool:
    """Can the rows be put in order: TIMEID is a column of numbers, and each row has its cluster and group.

    What is wrong otherwise the builder says, whether or not there are lags.
    """
    time = script.time_id
    names = series_names(script)
    known = all(name.name in table.columns for name in names)
    if time is None or time.name not in table.columns or not known or not len(rows):
        return False
    complete = not any(np.isnan(table.values(name.name)[rows]).any() for name in names)
    return complete and table.columns[time.name].texts is None


def check_dropout(script: Script, table: Table) -> None:
    """DROPOUT has what it needs; raises ProblemError with all it found."""
    problems = []
    needed = {"CLUSTERID": bool(script.cluster_ids), "TIMEID": script.time_id is not None}
    absent = " and ".join(command for command, given in needed.items() if not given)
    for entry in script.dropout:
        if absent:
            hint = "a dropout is the occasion after the last observed one of a cluster"
            problems.append(Problem(f"DROPOUT needs {absent}", script.command_spans.get("dropout"), hint))
        if entry.outcome.name not in table.columns:
            message = f"'{entry.outcome.name}' in DROPOUT is not in the data"
            problems.append(Problem(message, entry.outcome.span, nearest(entry.outcome.name, table.columns)))
        if entry.name.name in table.columns:
            hint = "give the indicator a name of its own"
            message = f"there is a variable '{entry.name.name}' already"
            problems.append(Problem(message, entry.name.span, hint))
    if problems:
        raise ProblemError(problems)


def with_indicators(script: Script, table: Table) -> Table:
    """A table whose rows have no order, with columns in the place of the indicators of dropout.

    They only serve to read the rest of the model: there is a problem already.
    """
    for entry in script.dropout:
        missing = np.isnan(table.values(entry.outcome.name)).astype(np.float64)
        column = Column(entry.name.name, entry.name.name, missing, computed=True)
        table = replace(table, columns={**table.columns, column.name: column})
    return table


@dataclass
class _Steps:
    """A table on its way; `rows` are those that are left."""

    script: Script
    table: Table
    rows: Indices
    clusters: Sequence[str]
    time: Name
    dropped: int = 0
    ended: int = 0
    unseen: int = 0
    step: int = 1

    @property
    def series(self) -> Series:
        return series_of(self.table, self.rows, self.clusters, self.time.name)

    @property
    def keeps_all(self) -> bool:
        return any(word.text.lower() == "nodrop" for word in self.script.options)

    def check(self, lagged: bool) -> list[Problem]:
        series, time = self.series, self.time.name
        problems = check_order(self.table, series, self.clusters, time)
        if lagged and not problems:
            problems = check_whole(self.table, series, time)
        return [replace(problem, span=self.time.span) for problem in problems]

    def add_rows(self) -> list[Problem]:
        series = self.series
        computed = {definition.name: definition.expression for definition in self.script.transform}
        self.step = common_step(series)
        before = self.table.rows
        self.table, problems = add_occasions(self.table, series, self.clusters, self.time.name, computed)
        self.rows = np.append(self.rows, np.arange(before, self.table.rows))
        return problems

    def add_indicator(self, entry: Dropout) -> None:
        series, outcome = self.series, entry.outcome.name
        self.unseen = max(self.unseen, unseen_dropouts(self.table, series, outcome))
        self.table, _ = add_dropout(self.table, series, entry.name.name, outcome)
        if not (self.table.values(entry.name.name)[series.rows] == 1).any():
            message = f"no cluster drops out: '{outcome}' is observed in the last row of each"
            hint = f"the occasion of a dropout is a row in which '{outcome}' is missing"
            raise ProblemError([Problem(message, entry.name.span, hint)])

    def leave_out_dropouts(self) -> None:
        """Without the rows in which every indicator of dropout is missing."""
        if not self.keeps_all:
            indicators = [self.table.values(entry.name.name)[self.rows] for entry in self.script.dropout]
            over = np.all(np.isnan(indicators), axis=0)
            self.dropped, self.rows = int(over.sum()), self.rows[~over]

    def leave_out_ends(self) -> None:
        if not self.keeps_all:
            series = self.series
            kept = informative(self.table, series, self._of_the_model(collect_names(self.script, self.table)))
            self.ended, self.rows = int((~kept).sum()), series.rows[kept]

    def _of_the_model(self, names: Names) -> list[str]:
        """The variables with a distribution: neither FIXED nor identifiers nor the time."""
        given = {name.name for name in (*self.script.fixed, *self.script.cluster_ids, self.time)}
        return [name for name in self.table.columns if name in used_columns(self.script, names) - given]

    def warnings(self) -> list[str]:
        added = int((self.rows >= self.table.rows - self.table.added).sum())
        title, found = self.table.columns[self.time.name].title, []
        if added:
            text = f"{counted(added, 'occasion')} without a row {was(added)} added, with missing values: "
            found.append(text + f"'.lag' is the row of the previous whole number of {title} (TIMEID).")
        if self.step > 1:
            found.append(
                f"All values of {title} (TIMEID) are {self.step} apart, but '.lag' is a single unit back. If "
                f"{self.step} units are one occasion, count these: TRANSFORM: occasion = {title}/{self.step};"
            )
        if self.dropped:
            text = f"{counted(self.dropped, 'row')} after a dropout {was(self.dropped)} dropped. "
            found.append(text + "OPTIONS: nodrop; keeps such rows.")
        if self.unseen:
            word = "cluster ends" if self.unseen == 1 else "clusters end"
            found.append(
                f"{self.unseen} {word} with an observed outcome before the last occasion of the data: not "
                "counted as a dropout, since no row shows it."
            )
        if self.ended:
            text = (
                f"{counted(self.ended, 'row')} at the end of a series {was(self.ended)} dropped: no variable "
            )
            found.append(text + "of the model is observed there or later. OPTIONS: nodrop; keeps such rows.")
        return found


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def was(number: int) -> str:
    """The verb that goes with a number of things."""
    return "was" if number == 1 else "were"
