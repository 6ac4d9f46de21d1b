"""What is computed from parameters: constraints and quantities of PARAMETERS, and Wald tests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from mlbayes.language import nodes
from mlbayes.language.nodes import Definition, Name, Number, Script
from mlbayes.model.drafts import Draft, DraftTerm
from mlbayes.model.equations import printed_equation
from mlbayes.model.expressions import Expression, Operation, ParameterReference, leaves, references
from mlbayes.model.model import Equation, Generated, Parameter, ParameterKind, Prior, WaldTest
from mlbayes.model.names import PARAMETER_SUFFIXES
from mlbayes.model.notes import Notes
from mlbayes.model.parameters import ParameterTable
from mlbayes.model.random_effects import Wanted
from mlbayes.model.resolve import LARGEST, Resolved, Resolver
from mlbayes.model.statements import Drafts
from mlbayes.problems import nearest

Row = tuple[dict[str, float], float]
FIXED_HINT = "name terms or labels that are estimated"


# ------------------------------------------------------------------ PARAMETERS
def read_parameters(
    script: Script, resolver: Resolver, table: ParameterTable, equations: Sequence[Equation]
) -> tuple[Generated, ...]:
    """Take in priors and constraints; the generated quantities in order."""
    generated: dict[str, Generated] = {}
    written_out: dict[str, Expression] = {}
    for prior in (statement for statement in script.parameters if isinstance(statement, nodes.Prior)):
        name = prior.label.name
        if name in resolver.names.declared:
            table.register(name, prior.label, ParameterKind.COEFFICIENT, Prior())
            generated[name] = Generated(name, ParameterReference(name), name, prior.span)
        table.set_prior(prior)
    for statement in script.parameters:
        if isinstance(statement, nodes.Prior):
            continue
        resolved = resolver.expression(statement.expression)
        known = resolver.names.labels | set(generated)  # a label without an equation is missed there
        _check_symbols(statement, resolved, known, table, equations)
        full = _write_out(statement, resolved, written_out, table)
        constrained = table.parameters.get(statement.name)
        if statement.name in generated or (constrained is not None and constrained.definition is not None):
            table.notes.problem(f"'{statement.name}' is defined twice", statement.span)
        elif constrained is not None and constrained.labelled:
            table.define(statement.name, full)
        else:
            printed = f"{statement.name} = {resolved.text}"
            quantity = Generated(statement.name, resolved.expression, printed, statement.span)
            generated[statement.name] = quantity
            written_out[statement.name] = full
    _check_cycles(script, table)
    return tuple(generated.values())


def _check_symbols(
    statement: Definition,
    resolved: Resolved,
    earlier: Collection[str],
    table: ParameterTable,
    equations: Sequence[Equation],
) -> None:
    """Only labels, earlier quantities and variances of outcomes may occur."""
    for reference in references(resolved.expression):
        message = f"'{reference.variable}' is a variable: PARAMETERS computes with labels"
        hint = "a label must differ from all variables: '@name' of a variable makes a product"
        table.notes.problem(message, statement.span, hint)
    known = {p.name for p in table.parameters.values() if p.labelled} | set(earlier)
    new = [name for name in nodes.names_in(statement.expression) if name.name not in known]
    check_variances(new, equations, table.notes)
    for name in new:
        variance = name.name.rpartition(".")[2] in PARAMETER_SUFFIXES
        if not variance and name.name in parameter_names(resolved.expression):
            hint = "quantities are computed in the order in which they are written"
            table.notes.problem(f"'{name.name}' is used before it is defined", name.span, hint)


def check_variances(names: Iterable[Name], equations: Sequence[Equation], notes: Notes) -> None:
    """`y.totalvar` and its like need an equation of y."""
    outcomes = {equation.outcome for equation in equations}
    for name in names:
        base, _, suffix = name.name.rpartition(".")
        if suffix in PARAMETER_SUFFIXES and base not in outcomes:
            message = f"'{base}' has no equation, so there is no '{name.name}'"
            notes.problem(message, name.span, nearest(base, outcomes))


def _write_out(
    statement: Definition, resolved: Resolved, earlier: dict[str, Expression], table: ParameterTable
) -> Expression:
    """The expression with earlier quantities inserted: a constraint shall name parameters only."""
    names = [leaf.name for leaf in leaves(resolved.expression) if isinstance(leaf, ParameterReference)]
    size = sum(sum(1 for _ in leaves(earlier[name])) for name in names if name in earlier)
    if size > LARGEST:
        message = f"'{statement.name}' has more than {LARGEST} parts when written out"
        table.notes.problem(message, statement.span)
        return resolved.expression
    return _inserted(resolved.expression, earlier)


def _inserted(expression: Expression, earlier: dict[str, Expression]) -> Expression:
    if isinstance(expression, ParameterReference):
        return earlier.get(expression.name, expression)
    if isinstance(expression, Operation):
        return Operation(expression.operator, tuple(_inserted(a, earlier) for a in expression.arguments))
    return expression


def parameter_names(expression: Expression) -> set[str]:
    """The parameters that an expression names."""
    return {leaf.name for leaf in leaves(expression) if isinstance(leaf, ParameterReference)}


def _check_cycles(script: Script, table: ParameterTable) -> None:
    """No constrained parameter may depend on itself."""
    definitions = {p.name: p.definition for p in table.parameters.values() if p.definition is not None}
    spans = {s.name: s.span for s in script.parameters if isinstance(s, Definition)}
    for name in definitions:
        seen: set[str] = set()
        open_names = [name]
        while open_names:
            definition = definitions.get(open_names.pop())
            if definition is None:
                continue
            found = parameter_names(definition)
            if name in found:
                table.notes.problem(f"the constraint on '{name}' uses '{name}' itself", spans[name])
                break
            open_names += found - seen
            seen |= found


# ------------------------------------------------------------------ WALDTEST
def build_wald_tests(
    script: Script, drafts: Drafts, equations: Sequence[Equation], table: ParameterTable
) -> tuple[WaldTest, ...]:
    """All Wald tests."""
    tests = []
    for test in script.wald_tests:
        if test.nested is not None:
            built = _nested_test(test.nested, drafts, equations, table)
        else:
            built = _constraint_test(test, table)
        if built is not None:
            tests.append(built)
    return tuple(tests)


def _constraint_test(test: nodes.WaldTest, table: ParameterTable) -> WaldTest | None:
    rows: list[Row] = []
    printed: list[str] = []
    for constraint in test.constraints:
        named = [*constraint.labels, *(constraint.value if isinstance(constraint.value, tuple) else ())]
        if not all([_is_free_label(name, table) for name in named]):
            continue
        if isinstance(constraint.value, Number):
            value = constraint.value.value
            rows += [({name.name: 1.0}, value) for name in constraint.labels]
            printed += [f"{name.name} = {value:.15g}" for name in constraint.labels]
        else:
            first, *others = [name.name for name in named]
            rows += [({first: 1.0, other: -1.0}, 0.0) for other in others if other != first]
            printed += [f"{first} = {other}" for other in others if other != first]
        if all(_is_number(name.name, table) for name in named):
            message = f"'{named[0].name}' is a fixed number: there is nothing to test"
            table.notes.problem(message, constraint.span, FIXED_HINT)
    if not rows:
        return None
    if _contradictory(rows):
        message = "the constraints of this test contradict each other"
        table.notes.problem(message, test.span, "begin each test with 'WALDTEST:'")
    return WaldTest(tuple(rows), tuple(printed))


def _contradictory(rows: Sequence[Row]) -> bool:
    """Is there no solution of linear equations."""
    names = sorted({name for weights, _ in rows for name in weights})
    weights = np.array([[row.get(name, 0.0) for name in names] for row, _ in rows])
    values = np.array([[value] for _, value in rows])
    return bool(np.linalg.matrix_rank(np.hstack((weights, values))) > np.linalg.matrix_rank(weights))


def _is_number(name: str, table: ParameterTable) -> bool:
    """Is a parameter not estimated."""
    parameter = table.parameters[name]
    if parameter.definition is not None:
        return not parameter_names(parameter.definition)
    return parameter.fixed is not None


def _is_free_label(name: Name, table: ParameterTable) -> bool:
    parameter = table.parameters.get(name.name)
    if parameter is None or not parameter.labelled:
        labels = [p.name for p in table.parameters.values() if p.labelled]
        hint = nearest(name.name, labels) or "label the parameter in MODEL: x@label (no name of a variable)"
        table.notes.problem(f"no parameter is labelled '{name.name}'", name.span, hint)
        return False
    return True


def _nested_test(
    nested: nodes.Regression, drafts: Drafts, equations: Sequence[Equation], table: ParameterTable
) -> WaldTest | None:
    """The terms of the full equation that the nested one leaves out are zero."""
    notes = table.notes
    scratch = Drafts(drafts.resolver)
    scratch.read((nested,))
    restricted = next(iter(scratch.equations.values()), None)
    if restricted is None:
        return None
    if len(scratch.equations) > 1:
        message = "a nested model is a single equation"
        notes.problem(message, nested.span, "give each equation a 'WALDTEST:' of its own, or test labels")
        return None
    if restricted.logits:
        message = f"a nested model is one of all logits of '{restricted.outcome.name}'"
        notes.unsupported(message, nested.span, "label coefficients of single logits and test the labels")
        return None
    full = next((e for e in equations if e.title == restricted.title), None)
    if full is None:
        same = [e.title for e in equations if e.outcome == restricted.outcome.name]
        hint = (
            f"write it as MODEL does: {same[0]} ~ ...;"
            if same
            else nearest(restricted.title, [e.title for e in equations])
        )
        notes.problem(f"MODEL has no equation of '{restricted.title}'", nested.span, hint)
        return None
    kept = {term.resolved.text for term in restricted.all_terms} | {"Intercept"}
    known = {term.label for term in full.terms}
    for text in sorted(kept - known - {"Intercept"}):
        notes.problem(
            f"'{text}' is not in the equation of '{full.title}'",
            nested.span,
            "a nested model only omits terms",
        )
    _check_tags(restricted, full, nested, table)
    omitted = [term for term in full.terms if not term.hidden and term.label not in kept]
    if not omitted:
        notes.problem("the nested model omits no term", nested.span, "leave out the terms to be tested")
        return None
    for term in omitted:
        if _is_number(term.coefficient, table):
            message = f"the coefficient of '{term.label}' is a fixed number: there is nothing to test"
            notes.problem(message, nested.span, FIXED_HINT)
    rows = tuple(({term.coefficient: 1.0}, 0.0) for term in omitted)
    labels = tuple(f"{term.label} = 0" for term in omitted)
    return WaldTest(rows, labels, full.printed, printed_equation(restricted, Wanted()))


def _is_tag_of(term: DraftTerm, parameter: Parameter) -> bool:
    """Does a term in a nested model have no tag, or that of the full one."""
    if term.label is not None:
        return term.label == parameter.name
    return term.fixed is None or term.fixed == parameter.fixed


def _check_tags(restricted: Draft, full: Equation, nested: nodes.Regression, table: ParameterTable) -> None:
    """The coefficients that a nested model keeps stay what they are."""
    intercept = [restricted.intercept] if restricted.intercept else []
    coefficients = {term.label: term.coefficient for term in full.terms}
    for term in (*intercept, *restricted.all_terms):
        label = "Intercept" if term is restricted.intercept else term.resolved.text
        if label in coefficients and not _is_tag_of(term, table.parameters[coefficients[label]]):
            message = f"the nested model changes the coefficient of '{label}'"
            table.notes.problem(message, nested.span, "leave out what shall be 0, and repeat no other tags")
