"""SIMULATE: data made by the statements of a script, as a table like that of a data file.

Constants are computed first, then the sizes of the levels, then the variables from the highest level down; within a
level in the order of the text.  A level with a lag in it goes on occasion by occasion: all its statements
for the first units of all clusters, then for the second ones, so that variables may depend on earlier values of
each other.  The same seed gives the same data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mlbayes.data.correlated_draws import correlate
from mlbayes.data.evaluate import Indices
from mlbayes.data.level_values import LevelEvaluation, Values, Variable, draws_in, has_lag
from mlbayes.data.levels import CONSTANTS, Levels
from mlbayes.data.table import Column, Table
from mlbayes.language.commands import RESERVED
from mlbayes.language.nodes import Expression, Name, Script, SimulateStatement
from mlbayes.problems import Problem, ProblemError, nearest

NAME = "simulated data"
MOST_VALUES = 20_000_000
STREAM = 2**32 - 1  # those before it, and from 2**32 on, are the streams of chains
ONE = np.zeros(1, np.int64)


def simulate(script: Script) -> Table:
    """The simulated data: the columns in VARIABLES, or all variables after the identifiers of the clusters.

    Raises ProblemError with everything that is wrong.
    """
    with np.errstate(all="ignore"):
        return _Simulation(script).table()


class _Simulation:
    """The statements of a script and what they have made so far."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.sizes = _sizes(script)
        self.levels_by_name = {statement.targets[0].name: level for level, statement in self.sizes.items()}
        names = {level: name for name, level in self.levels_by_name.items()}
        seed = script.seed.value if script.seed else int(RESERVED["SEED"].default)
        rng = np.random.Generator(np.random.Philox(key=[seed, STREAM]))
        self.values = Values(script.source, Levels(names), rng)
        self.statements: list[tuple[Variable, SimulateStatement]] = []

    def table(self) -> Table:
        """Compute everything."""
        self._declare()
        self._compute(CONSTANTS)
        self._set_sizes()
        correlations = [statement for statement in self.script.simulate if statement.operator == "~~"]
        expressions = {variable.name: statement.expression for variable, statement in self.statements}
        correlate(self.values, correlations, expressions, self._constant)
        for level in sorted(self.sizes, reverse=True):
            self._compute(level)
        chosen = self._chosen()
        if self.values.problems:
            raise ProblemError(sorted(self.values.problems, key=_place))
        return self._table_of(chosen)

    # -------------------------------------------------------------- names
    def _declare(self) -> None:
        """Every variable with its level and position, before any is computed."""
        for level, name in self.values.levels.names.items():
            for identifier in (name, f"{name}.time"):
                self.values.variables[identifier] = Variable(identifier, level)
        placed = [(level, s) for s in self.script.simulate if (level := self._level_of(s))]
        placed.sort(key=lambda pair: -pair[0])  # stable: the order of the text within a level
        for level, statement in placed:
            for target in statement.targets:
                self._declare_variable(level, target, statement)

    def _declare_variable(self, level: int, name: Name, statement: SimulateStatement) -> None:
        earlier = self.values.variables.get(name.name)
        if earlier is not None:
            message = f"there is a '{name.name}' already"
            self.values.note(Problem(message, name.span, "give each variable a name of its own"))
            return
        if statement.operator == "~" and not any(True for _ in draws_in(statement.expression)):
            message = f"'{name.name} ~' needs a distribution"
            hint = f"{name.name} ~ normal(mean, variance); a value without a random part is written with '='"
            self.values.note(Problem(message, statement.expression.span, hint))
        variable = Variable(name.name, level, len(self.statements), name.span)
        self.values.variables[name.name] = variable
        self.statements.append((variable, statement))

    def _level_of(self, statement: SimulateStatement) -> int:
        """The level of a variable; 0 for other statements, and for those without a known block."""
        if statement.operator == "~~" or statement is self.sizes.get(statement.level or 1):
            return 0
        if statement.block == "define" or statement.operator == ":=":
            return CONSTANTS
        if statement.block in self.levels_by_name:
            return self.levels_by_name[statement.block]
        self.values.broken |= {name.name for name in statement.targets}
        if statement.block is None:
            hint = "constants stand below 'define:', variables below the name of their level and a colon"
            self.values.note(Problem("this statement stands in no block", statement.span, hint))
        else:
            hint = nearest(statement.block, [*self.levels_by_name, "define"])
            hint = hint or f"the blocks are {', '.join([*self.levels_by_name, 'define'])}"
            message = f"there is no level '{statement.block}'"
            self.values.note(Problem(message, statement.span, hint))
        return 0

    # -------------------------------------------------------------- values
    def _constant(self, expression: Expression) -> float:
        """An expression of constants."""
        last = Variable("", CONSTANTS, len(self.statements))
        evaluation = LevelEvaluation(self.values, last, ONE)
        value = evaluation.value(expression, np.ones(1, np.bool_))
        self._note(evaluation)
        return float(value[0])

    def _note(self, evaluation: LevelEvaluation) -> None:
        for problem in evaluation.problems:
            self.values.note(problem)

    def _set_sizes(self) -> None:
        units = {CONSTANTS: 1} | {level: self._size(statement) for level, statement in self.sizes.items()}
        if all(units.values()):
            self._check_sizes(units)
        if not all(units.values()):  # the other statements are looked at with as little as can be
            units = dict.fromkeys(units, 1)
        levels = dataclasses.replace(self.values.levels, units=units, _known={})
        self.values.levels = levels
        for level, name in levels.names.items():
            self.values.variables[name].values = np.arange(1.0, units[level] + 1.0)
            self.values.variables[f"{name}.time"].values = levels.times(level).astype(np.float64)

    def _size(self, statement: SimulateStatement) -> int:
        """The number of units of a level, 0 if it is in error."""
        size = self._constant(statement.expression)
        if np.isnan(size):
            return 0
        if not (size >= 0.5 and abs(size - round(size)) < 1e-9 * size):
            message = f"the number of units must be a whole number above 0, found {size:.6g}"
            self.values.note(Problem(message, statement.expression.span))
            return 0
        return round(size)

    def _check_sizes(self, units: dict[int, int]) -> None:
        """Clusters need units, and memory has an end; a size that cannot be becomes 0."""
        names = self.values.levels.names
        for level, statement in self.sizes.items():
            above = self.values.levels.above(level)
            if units[level] < units[above]:
                message = (
                    f"{units[level]} units of '{names[level]}' cannot fill {units[above]} of '{names[above]}'"
                )
                hint = f"the size of '{names[level]}' is its total over all '{names[above]}'"
                self.values.note(Problem(message, statement.expression.span, hint))
                units[level] = 0
                return
        total = sum(units[variable.level] for variable, _ in self.statements) + 2 * sum(units.values())
        if total > MOST_VALUES:
            message = f"this makes {total:,} values, where {MOST_VALUES:,} are the most"
            self.values.note(Problem(message, self.sizes[1].expression.span, "simulate fewer rows"))
            units[1] = 0

    def _compute(self, level: int) -> None:
        """The variables of a level."""
        mine = [pair for pair in self.statements if pair[0].level == level]
        for variable, _ in mine:
            variable.values = np.full(self.values.levels.units[level], np.nan)
        for units in self._occasions(level, mine):
            before = len(self.values.problems)
            for variable, statement in mine:
                evaluation = LevelEvaluation(self.values, variable, units)
                active = np.ones(len(units), np.bool_)
                variable.values[units] = evaluation.value(statement.expression, active)
                self._note(evaluation)
            if len(self.values.problems) > before:
                return

    def _occasions(
        self, level: int, statements: list[tuple[Variable, SimulateStatement]]
    ) -> Iterator[Indices]:
        """The units that are computed together: all, or with lags one occasion after the other."""
        levels = self.values.levels
        if not any(has_lag(statement.expression) for _, statement in statements):
            yield np.arange(levels.units[level], dtype=np.int64)
            return
        times = levels.times(level)
        order = np.argsort(times, kind="stable")
        yield from np.split(order, np.flatnonzero(np.diff(times[order])) + 1)

    # -------------------------------------------------------------- the table
    def _chosen(self) -> list[Name]:
        """The columns of the table, in order."""
        names, variables = self.values.levels.names, self.values.variables
        if not self.script.variables:
            written = sorted(self.statements, key=lambda pair: pair[1].span.start)
            made = [Name(variable.name) for variable, _ in written if variable.level < CONSTANTS]
            if not made and not self.values.problems:
                message = "SIMULATE makes no variable"
                hint = f"add one below the name of its level: {names[1]}: y = normal(0, 1);"
                self.values.note(Problem(message, self.sizes[1].span, hint))
            return [*(Name(names[level]) for level in sorted(names) if level > 1), *made]
        for name in self.script.variables:
            if name.name not in variables and name.name not in self.values.broken:
                message = f"'{name.name}' in VARIABLES is not simulated"
                self.values.note(Problem(message, name.span, nearest(name.name, variables)))
        return list(self.script.variables)

    def _table_of(self, chosen: list[Name]) -> Table:
        levels = self.values.levels
        kept = [self.values.variables[name.name] for name in chosen]
        columns = {v.name: Column(v.name, v.name, v.values[levels.ancestors(1, v.level)]) for v in kept}
        return Table(
            Path(NAME),
            columns,
            tuple(word.text for word in self.script.missing),
            np.arange(1, levels.units[1] + 1, dtype=np.int64),
            simulated={v.name: v.values for v in kept if v.name not in levels.names.values()},
        )


def _sizes(script: Script) -> dict[int, SimulateStatement]:
    """The statement with the size of each level, the rows first; raises ProblemError when these are in disorder."""
    sized = [s for s in script.simulate if s.level is not None]
    plain = [s for s in script.simulate if s.level is None and s.block is None and _is_size(s)]
    problems: list[Problem] = []
    sizes: dict[int, SimulateStatement] = {}
    for statement in sized or plain[:1]:
        level, name = statement.level or 1, statement.targets[0].name
        other = sizes.get(level)
        if other is not None:
            message = f"'{other.targets[0].name}' and '{name}' are both level {level}"
            problems.append(Problem(message, statement.span, "each level has one size"))
        elif any(name == known.targets[0].name for known in sizes.values()) or name == "define":
            problems.append(Problem(f"'{name}' cannot be the name of this level", statement.span))
        sizes.setdefault(level, statement)
    for level in range(1, max(sizes, default=1)):
        if level not in sizes:
            last = sizes[max(sizes)].span
            hint = f"rows(1) = 1000; gives the {'total number of rows' if level == 1 else 'size'}"
            problems.append(
                Problem(f"SIMULATE has no size of level {level}", last, hint if level == 1 else "")
            )
    if not sizes:
        place = script.command_spans.get("simulate")
        hint = "begin with n = 500; or with row(1) = 1000; cluster(2) = 50;"
        problems.append(Problem("SIMULATE does not say how many rows there are", place, hint))
    if problems:
        raise ProblemError(problems)
    return dict(sorted(sizes.items()))


def _is_size(statement: SimulateStatement) -> bool:
    """May a statement outside of all blocks be the size of a single level."""
    return statement.operator in ("=", ":=") and len(statement.targets) == 1


def _place(problem: Problem) -> int:
    return problem.span.start if problem.span else 0
