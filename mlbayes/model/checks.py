"""Checks of a finished model: each looks for one kind of mistake and reports it.

Mistakes in names are found while names are resolved; these checks need the whole graph.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.table import Table
from mlbayes.language.nodes import Script
from mlbayes.model.expressions import Centring, Form, Reference, references
from mlbayes.model.flat_priors import check_flat_priors
from mlbayes.model.identification import check_identification
from mlbayes.model.model import Family, Kind, Model, Role, Variable
from mlbayes.model.notes import Notes
from mlbayes.model.places import place_of
from mlbayes.model.separation import check_separation
from mlbayes.model.units import Vector
from mlbayes.source import Span

LARGEST = 1e30  # of a value, and its inverse of the spread of values: powers and products must be finite


def check_model(model: Model, script: Script, table: Table, notes: Notes) -> None:
    """Run every check: of what is written, of the values, and of what the two are together."""
    for check in (
        check_something_to_do,
        check_identifiers,
        check_identifiers_as_predictors,
        check_cycles,
        check_lags,
        check_group_centring,
        check_indicators,
    ):
        check(model, script, notes)
    for check_values in (check_observed, check_fixed, check_weights):
        check_values(model, script, table, notes)
    for check in (check_flat_priors, check_identification, check_separation):
        check(model, script, notes)


def check_something_to_do(model: Model, script: Script, notes: Notes) -> None:
    """A script has MODEL or FCS."""
    if not script.model and not script.fcs:
        place = script.command_spans.get("model") or script.command_spans.get("fcs")
        empty = "MODEL or FCS has no statement" if place else "there is no model"
        notes.problem(empty, place, "write MODEL: y ~ x; or FCS: variables;")
    elif not model.equations and not model.imputation and not notes.problems:
        notes.problem("MODEL has no equation", script.command_spans.get("model"), "write an equation: y ~ x;")
    if script.model and model.imputation:
        notes.problem("FCS and MODEL exclude each other", script.command_spans.get("fcs"))


def check_identifiers(model: Model, script: Script, notes: Notes) -> None:
    """Identifiers are names of clusters, not quantities to be modelled."""
    modelled = {e.outcome for e in model.equations} | {m.variable for m in model.predictor_models}
    for name in script.cluster_ids:
        if name.name in modelled:
            message = f"the identifier '{name.name}' cannot be modelled"
            notes.problem(message, place_of(name.name, model.equations) or name.span)


def check_identifiers_as_predictors(model: Model, script: Script, notes: Notes) -> None:
    """The number of a cluster is hardly ever a quantity; comparisons (`school == 3`) are."""
    for equation in model.equations:
        for term in equation.terms:
            expression = term.expression
            if isinstance(expression, Reference) and expression.variable in model.hierarchy.identifiers:
                name, line = expression.variable, model.in_line(term.span)
                notes.warn(
                    f"The identifier '{name}' predicts '{equation.title}'{line} by its number. Random effects of its"
                    " clusters are there without it."
                )


def check_cycles(model: Model, script: Script, notes: Notes) -> None:
    """No variable may predict itself, directly or through others, except at an earlier occasion."""
    edges: dict[str, set[str]] = {}
    spans: dict[str, Span | None] = {}
    for equation in model.equations:
        if equation.outcome in edges:
            continue  # the variance of an outcome may depend on anything
        used = (r for term in equation.terms for r in references(term.expression) if r.form is not Form.LAG)
        edges[equation.outcome] = {r.variable for r in used}
        spans[equation.outcome] = equation.span
    for cycle in _cycles(edges):
        if len(cycle) > 1:  # a variable among its own predictors was reported with its term
            path = ", ".join(
                f"{one} ~ {other}" for one, other in zip(cycle, [*cycle[1:], cycle[0]], strict=True)
            )
            hint = "a joint model needs an order: only one of two variables can predict the other"
            notes.problem(f"the equations form a circle: {path}", spans[cycle[0]], hint)


def _cycles(edges: dict[str, set[str]]) -> Iterator[list[str]]:
    """One circle for each variable that is the first, in order of equations, to lie on it."""
    reported: set[str] = set()
    for start in edges:
        if start in reported:
            continue
        paths, seen = [[start]], {start}
        while paths:
            path = paths.pop()
            following = edges.get(path[-1], set())
            if start in following:
                reported |= set(path)
                yield path
                break
            fresh = sorted(following & edges.keys() - seen)
            seen |= set(fresh)
            paths += [[*path, name] for name in fresh]


def check_indicators(model: Model, script: Script, notes: Notes) -> None:
    """The data say nothing of what `y.missing` does to y; a number or a prior must."""
    for equation in model.equations:
        for term in equation.terms:
            parameter = model.parameters[term.coefficient]
            free = parameter.fixed is None and parameter.definition is None
            own = [
                r
                for r in references(term.expression)
                if model.variables[r.variable].indicates == equation.outcome
            ]
            if own and free and parameter.prior.family is Family.FLAT:
                indicator = own[0].variable
                message = (
                    f"the data say nothing about this coefficient: '{indicator}' is 0 wherever"
                    f" '{equation.outcome}' is observed"
                )
                hint = f"label it, {indicator}@d, and give a number or a prior: PARAMETERS: d = 0.5;"
                notes.problem(message, term.span or equation.span, hint)


def check_lags(model: Model, script: Script, notes: Notes) -> None:
    """Lags need an order of occasions, and variables that differ between them."""
    lagged = [
        (reference, term.span)
        for equation in model.equations
        for term in equation.terms
        for reference in references(term.expression)
        if reference.form is Form.LAG
    ]
    if not lagged:
        return
    if model.time is None:
        reference, span = lagged[0]
        hint = "name the variable that counts the occasions: TIMEID: week;"
        notes.problem(f"'{reference.variable}.lag' needs TIMEID", span, hint)
        return
    for reference, span in lagged:
        name = reference.variable
        if model.variables[name].kind is Kind.NOMINAL:
            hint = f"make a variable for each code in TRANSFORM: d = ({name} == 2); and use d.lag"
            notes.problem(f"the lag of the nominal variable '{name}' is not a number", span, hint)
        elif reference.level > 1:
            hint = "it is the same at each occasion: use the variable itself"
            notes.problem(f"'{name}' has no lag: it varies at level {reference.level}", span, hint)
        elif (model.hierarchy.earlier(reference.argument) < 0).all():
            lag = reference.argument
            message = f"no series has the {lag + 1} occasions that '{name}.lag{lag}' needs"
            notes.data_problem(message, span)


def check_group_centring(model: Model, script: Script, notes: Notes) -> None:
    """Group means need clusters above the level of the variable."""
    places = {entry.name.name: entry.name.span for entry in script.centre}
    for variable in model.variables.values():
        if variable.centring is Centring.GROUP and variable.level >= model.hierarchy.levels:
            message = f"'{variable.name}' has no group means: it varies at level {variable.level}"
            hint = (
                "centre it at its grand mean" if model.hierarchy.identifiers else "group means need CLUSTERID"
            )
            notes.problem(message, places.get(variable.name), hint)


def check_observed(model: Model, script: Script, table: Table, notes: Notes) -> None:
    """Every variable of the model needs values to learn from."""
    for variable in model.variables.values():
        needed = variable.role in (Role.OUTCOME, Role.PREDICTOR)
        if script.by_group is not None or model.imputation:  # a constant would stand for the intercept
            needed |= variable.role is Role.FIXED and variable.name not in model.hierarchy.identifiers
        present = variable.values[~variable.missing]
        if needed and len(np.unique(present)) < 2:
            what = "has the same value everywhere" if len(present) else "has no values"
            message = f"'{variable.name}' {what} in the rows that are analysed"
            notes.data_problem(
                message, _place(variable.name, model, script), _nothing_to_learn(script, present)
            )
        elif len(present) and (needed or variable.role is Role.FIXED):
            _check_size(model, variable, table, _place(variable.name, model, script), notes)


def _nothing_to_learn(script: Script, present: Vector) -> str:
    """What may be behind a variable without values, or with one and the same."""
    if not len(present):
        return "are the codes in MISSING right" + (", and is FILTER?" if script.filter else "?")
    if script.by_group is not None:
        return "leave it out of the model: it does not differ within groups of BYGROUP"
    return "leave it out of the model" + (", or change FILTER" if script.filter else "")


def _place(name: str, model: Model, script: Script) -> Span | None:
    """Where MODEL or FCS speaks of a variable."""
    listed = {name.name: name.span for name in script.fcs}
    return place_of(name, model.equations) or listed.get(name)


def _check_size(model: Model, variable: Variable, table: Table, place: Span | None, notes: Notes) -> None:
    """Squares and products of values, and of their deviations, must be numbers that can be computed with."""
    name, values = variable.name, variable.values
    largest, spread = float(np.nanmax(np.abs(values))), float(np.nanmax(values) - np.nanmin(values))
    where = ""
    if largest > LARGEST:
        message = f"'{name}' has values as large as {largest:.1e}, too large to compute with"
        where = _where(model, table, variable, np.abs(values) > LARGEST)
    elif 0.0 < spread < 1.0 / LARGEST:
        message = f"the values of '{name}' lie within {spread:.1e} of each other, too close to compute with"
    else:
        return
    scale = f"{largest if largest > LARGEST else spread:.0e}"
    hint = f"give it another unit: TRANSFORM: {name}_scaled = {name} / {scale};"
    notes.data_problem(message, place, hint, where)


def _where(model: Model, table: Table, variable: Variable, units: NDArray[np.bool_]) -> str:
    """The rows of some units of a variable, as the place of a problem; `units` has shape (units,)."""
    of_row = model.hierarchy.ancestors(1, variable.level)
    return table.where(model.hierarchy.order[units[of_row]])


def check_fixed(model: Model, script: Script, table: Table, notes: Notes) -> None:
    """A variable without a distribution has a value everywhere."""
    declared = {name.name: name.span for name in script.fixed}
    for variable in model.variables.values():
        if variable.role is Role.FIXED and variable.incomplete:
            name = variable.name
            number = int(variable.missing.sum())
            message = f"the FIXED variable '{name}' has {number} missing value{'s' if number > 1 else ''}"
            hint = "a variable with missing values needs a distribution: take it out of FIXED"
            if table.added:
                hint += " (its value is missing where '.lag' needs an occasion that the data have no row for)"
            span = declared.get(name) or _place(name, model, script)
            notes.data_problem(message, span, hint, _where(model, table, variable, variable.missing))


def check_weights(model: Model, script: Script, table: Table, notes: Notes) -> None:
    """Sampling weights are complete and above 0, one for each level."""
    places = {name.name: name.span for name in script.weights}
    levels: dict[int, str] = {}
    for name in model.weights:
        weight = model.variables[name]
        unusable = ~(weight.values > 0)
        if unusable.any():
            hint = "leave such rows out with FILTER, or give them a weight above 0"
            where = _where(model, table, weight, unusable)
            notes.data_problem(f"the weight '{name}' is missing or not above 0", places[name], hint, where)
        if levels.setdefault(weight.level, name) != name:
            message = f"the weights '{levels[weight.level]}' and '{name}' both vary at level {weight.level}"
            notes.problem(message, places[name], "there can be one weight for each level")
