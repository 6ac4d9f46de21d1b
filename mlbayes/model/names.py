"""What the names of a script stand for: columns, latent variables, effects, definitions, labels.

A name may carry a suffix that asks for a form of a variable (`x.mean`, `y.lag`, `n.2`).  `split_name`
takes it off; a column whose own name ends that way wins over the suffix.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from mlbayes.data.table import Table
from mlbayes.language import nodes
from mlbayes.language.nodes import Definition, Latent, Name, RandomEffect, Script
from mlbayes.model.expressions import Form
from mlbayes.model.notes import Notes

SUFFIXES = {
    "mean": Form.MEAN,
    "lag": Form.LAG,
    "latent": Form.RESPONSE,
    "missing": Form.MISSING,
}
PARAMETER_SUFFIXES = ("totalvar", "coefvar", "residvar")
INTERCEPT = "intercept"


@dataclass(frozen=True)
class Split:
    """A name without its suffix: the variable, the form that is asked for and its argument (lag, code)."""

    base: str
    form: Form = Form.VALUE
    argument: int = 0


def split_name(name: str, known: Collection[str], nominal: Collection[str]) -> Split | None:
    """The variable and form that a name stands for, None when its variable is not known."""
    if name in known:
        return Split(name)
    base, _, suffix = name.rpartition(".")
    if base not in known:
        return None
    lag = re.fullmatch(r"lag([0-9]{0,3})", suffix)
    if lag:
        return Split(base, Form.LAG, int(lag.group(1) or 1))
    if base in nominal and re.fullmatch(r"[0-9]{1,9}", suffix):
        return Split(base, Form.DUMMY, int(suffix))
    return Split(base, SUFFIXES[suffix]) if suffix in SUFFIXES else None


@dataclass(frozen=True)
class Names:
    """Everything that a script declares, by name.

    `columns`: of the data, indicators of DROPOUT among them.  `latent`: latent variables with their entry in LATENT.
    `labels`: parameters named with `@`, and those in `declared`: no coefficients, but named inside an expression
    of MODEL or a constraint and given a prior in PARAMETERS.
    """

    columns: frozenset[str]
    latent: dict[str, Latent]
    effects: dict[str, RandomEffect]
    definitions: dict[str, Definition]
    nominal: frozenset[str]
    labels: frozenset[str]
    quantities: frozenset[str]
    declared: frozenset[str] = frozenset()

    def split(self, name: str) -> Split | None:
        """The variable that a name stands for, if it is one."""
        return split_name(name, self.variables, self.nominal)

    @property
    def variables(self) -> frozenset[str]:
        """Names of columns, latent variables and named random effects."""
        return self.columns | frozenset(self.latent) | frozenset(self.effects)

    @property
    def everything(self) -> frozenset[str]:
        """Every name, for hints on misspelt ones."""
        return self.variables | frozenset(self.definitions) | self.labels | self.quantities


def check_definitions(script: Script, names: Names, notes: Notes) -> None:
    """A definition has a name of its own; that of a variable would be read as the variable."""
    seen: set[str] = set()
    for statement in script.model:
        if isinstance(statement, Definition):
            if statement.name in names.variables:
                hint = f"a regression is written with '~': {statement.name} ~ ...; a definition needs a name of its own"
                notes.problem(f"there is a variable '{statement.name}' already", statement.span, hint)
            elif statement.name in seen:
                notes.problem(f"'{statement.name}' is defined twice", statement.span)
            seen.add(statement.name)


def collect_names(script: Script, table: Table) -> Names:
    """The declared names of a script."""
    columns = frozenset(table.columns) | frozenset(entry.name.name for entry in script.dropout)
    latent = {entry.name.name: entry for entry in script.latent}
    effects = {effect.name.name: effect for effect in script.random_effects}
    definitions = {
        statement.name: statement for statement in script.model if isinstance(statement, Definition)
    }
    variables = columns | frozenset(latent) | frozenset(effects)
    labels = frozenset(
        tag.name for tag in tags(script) if isinstance(tag, Name) and tag.name not in variables
    )
    quantities = frozenset(entry.name for entry in script.parameters if isinstance(entry, Definition))
    nominal = frozenset(entry.name.name for entry in script.nominal)
    labels -= frozenset(definitions)
    names = Names(columns, latent, effects, definitions, nominal, labels, quantities)
    declared = _declared(script, names)
    return replace(names, labels=labels | declared, declared=declared)


def _declared(script: Script, names: Names) -> frozenset[str]:
    """Parameters that exist by their prior: MODEL or a constraint names them, and nothing else has their name."""
    used = {
        name.name
        for statement in _reachable_statements(script, names)
        for expression in expressions(statement)
        for name in nodes.names_in(expression)
    }
    constraints = [s for s in script.parameters if isinstance(s, Definition) and s.name in names.labels]
    used |= {name.name for s in constraints for name in nodes.names_in(s.expression)}
    priors = {s.label.name for s in script.parameters if isinstance(s, nodes.Prior)}
    return frozenset(
        name for name in priors & used if name not in names.everything and names.split(name) is None
    )


def tags(script: Script) -> Iterator[nodes.Tag]:
    """Every `@tag` of MODEL."""
    for statement in script.model:
        match statement:
            case nodes.Regression():
                yield from (term.tag for term in right_side(statement) if term.tag is not None)
            case nodes.Loading():
                terms = (*statement.left, *statement.targets)
                yield from (term.tag for term in terms if term.tag is not None)
            case nodes.Covariance():
                yield from (term.tag for term in statement.right if term.tag is not None)
            case nodes.Variance():
                yield statement.tag


def right_side(statement: nodes.Regression) -> list[nodes.Term | nodes.RandomTerm]:
    """The terms of a regression, random ones last."""
    return [*statement.terms, *(statement.random or ())]


def expressions(statement: nodes.ModelStatement) -> Iterator[nodes.Expression]:
    """Every expression of a statement of MODEL, its tags among them."""
    match statement:
        case nodes.Regression():
            yield from statement.outcomes
            for term in right_side(statement):
                yield term.expression
                if isinstance(term.tag, Name):
                    yield term.tag
        case nodes.Loading():
            for term in (*statement.left, *statement.targets):
                yield term.expression
                if isinstance(term.tag, Name):
                    yield term.tag
        case nodes.Covariance():
            yield from statement.left
            yield from (term.expression for term in statement.right)
        case nodes.Variance():
            yield from statement.names
        case nodes.Definition():
            yield statement.expression


def used_columns(script: Script, names: Names) -> set[str]:
    """Columns that the model uses."""
    used = {split.base for split in _used(script, names)} | {name.name for name in script.fcs}
    return used & names.columns


def uses_lag(script: Script, names: Names) -> bool:
    """Does the model use a variable of an earlier occasion."""
    return any(split.form is Form.LAG for split in _used(script, names))


def _used(script: Script, names: Names) -> Iterator[Split]:
    """Every variable that the model names, with its form."""
    for statement in _reachable_statements(script, names):
        for expression in expressions(statement):
            for name in nodes.names_in(expression):
                split = names.split(name.name)
                if split is not None:
                    yield split


def _reachable_statements(script: Script, names: Names) -> list[nodes.ModelStatement]:
    """All statements but definitions that nothing uses."""
    found: list[nodes.ModelStatement] = [s for s in script.model if not isinstance(s, Definition)]
    seen: set[str] = set()
    for statement in found:  # grows while it is walked
        for expression in expressions(statement):
            for name in nodes.names_in(expression):
                definition = names.definitions.get(name.name)
                if definition is not None and name.name not in seen:
                    seen.add(name.name)
                    found.append(definition)
    return found
