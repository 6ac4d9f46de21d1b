"""Syntax tree and data table -> model graph: the order of the steps.

Every step takes what the steps before it returned and records problems in `Notes`; so all problems of a
script come out at once, and the model is returned only when there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlbayes.data.table import Table
from mlbayes.language.nodes import Name, Script
from mlbayes.model.checks import check_model
from mlbayes.model.covariances import build_covariances
from mlbayes.model.equations import build_equations
from mlbayes.model.expressions import Expression
from mlbayes.model.fcs import assign_imputation_roles
from mlbayes.model.implied import complete
from mlbayes.model.model import Equation, Model, NamedEffect, Variable
from mlbayes.model.names import INTERCEPT, Names, check_definitions, collect_names
from mlbayes.model.notes import Notes
from mlbayes.model.parameters import ParameterTable, PriorFamily
from mlbayes.model.predictors import assign_roles, build_means_models, build_predictor_models
from mlbayes.model.quantities import build_wald_tests, read_parameters
from mlbayes.model.resolve import Resolver
from mlbayes.model.settings import read_settings
from mlbayes.model.simple import build_conditional_effects
from mlbayes.model.statements import Drafts
from mlbayes.model.units import Hierarchy, Indices
from mlbayes.model.variables import read_variables
from mlbayes.problems import Problem, nearest


def build_model(
    script: Script, table: Table, selected_rows: Indices | None = None
) -> tuple[Model | None, list[Problem]]:
    """The model of a script and its data, or None and every problem that was found.

    `selected_rows`: positions of the rows that pass FILTER, all rows if None.  Raises ProblemError with what it found
    so far where there are too many problems to look for more.
    """
    notes = Notes(warnings=list(table.warnings))
    settings = read_settings(script, notes)
    names = collect_names(script, table)
    check_definitions(script, names, notes)
    variables, hierarchy, rows = read_variables(script, table, names, selected_rows, notes)
    of_the_data = len(notes.problems)

    resolver = Resolver(names, variables, hierarchy, notes)
    drafts = Drafts(resolver)
    drafts.read(script.model)
    complete(drafts)

    parameters = ParameterTable(notes, PriorFamily.of(settings.options))
    equations = build_equations(drafts, parameters)
    covariances = build_covariances(drafts.covariances, variables, parameters)
    generated = read_parameters(script, resolver, parameters, equations)
    wald_tests = build_wald_tests(script, drafts, equations, parameters)
    effects = build_conditional_effects(script, resolver, equations)

    imputation = bool(script.fcs)
    if imputation:
        variables = assign_imputation_roles(script, variables, notes)
    else:
        variables = assign_roles(script, names, variables, equations, hierarchy.levels, notes)
    predictor_models = build_predictor_models(variables, hierarchy.levels)
    predictor_models += build_means_models(variables, equations, hierarchy.levels, notes)

    model = Model(
        source=script.source,
        hierarchy=hierarchy,
        variables=variables,
        equations=equations,
        parameters=parameters.parameters,
        predictor_models=predictor_models,
        covariances=covariances,
        definitions=_definitions(resolver),
        generated=generated,
        wald_tests=wald_tests,
        conditional_effects=effects,
        settings=settings,
        used_rows=rows,
        named_effects=_named_effects(script, names, equations, hierarchy, notes),
        weights=tuple(name.name for name in script.weights if name.name in variables),
        time=_time(script, variables),
        imputation=imputation,
        places=script.command_spans,
        dropouts={entry.name.name: entry.outcome.name for entry in script.dropout},
    )
    check_model(model, script, table, notes)
    if notes.problems:
        later = notes.problems[of_the_data:]
        if script.cluster_ids and not hierarchy.identifiers:  # that clusters are needed is clear
            later = [problem for problem in later if "CLUSTERID" not in problem.message + problem.hint]
        return None, in_order([*notes.problems[:of_the_data], *later])
    return with_notes(model, notes), []


def with_notes(model: Model, notes: Notes) -> Model:
    """The model with everything that was added and warned of."""
    return replace(model, additions=tuple(notes.additions), warnings=tuple(notes.warnings))


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """Problems in order of their place in the script, those without a place last; one for each place."""
    placed = sorted((p for p in problems if p.span is not None), key=lambda p: p.span.start if p.span else 0)
    unique = {(p.message, p.span): p for p in [*placed, *(p for p in problems if p.span is None)]}
    return list(unique.values())


def _definitions(resolver: Resolver) -> tuple[tuple[str, Expression, str], ...]:
    """Definitions that are used, in order of writing."""
    return tuple(
        (name, resolver.inserted[name].expression, resolver.inserted[name].text)
        for name in resolver.names.definitions
        if name in resolver.inserted
    )


def _time(script: Script, variables: dict[str, Variable]) -> str | None:
    return script.time_id.name if script.time_id is not None and script.time_id.name in variables else None


def _named_effects(
    script: Script, names: Names, equations: Sequence[Equation], hierarchy: Hierarchy, notes: Notes
) -> tuple[NamedEffect, ...]:
    """RANDOMEFFECT: each must be a random effect that the equation of its outcome has."""
    found = []
    for effect in script.random_effects:
        identifier = effect.level.text.lower()
        if identifier not in hierarchy.identifiers or not isinstance(effect.predictor, Name):
            continue
        level = hierarchy.identifiers.index(identifier) + 2
        label = "Intercept" if effect.predictor.name == INTERCEPT else effect.predictor.name
        random = [
            r for e in equations if e.outcome == effect.outcome.name for r in e.random if r.level == level
        ]
        labels = [known for r in random for known in r.labels]
        match = next((known for known in labels if known in (label, f"{label}[{identifier}]")), None)
        if match is None:
            hint = nearest(effect.outcome.name, [e.outcome for e in equations])
            if effect.outcome.name in {e.outcome for e in equations}:
                hint = f"its random effects: {', '.join(labels) or 'none'}"
            message = f"'{effect.outcome.name}' has no random effect of '{label}' over '{identifier}'"
            notes.problem(message, effect.span, hint)
        else:
            found.append(NamedEffect(effect.name.name, effect.outcome.name, match, level))
    return tuple(found)
