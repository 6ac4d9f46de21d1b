"""Expressions of the syntax tree -> expressions of the model, with the text that the report prints.

Names become references to variables (with the centring that CENTER asks for), definitions are
inserted, and a nominal factor of a term becomes one term for each dummy code.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mlbayes.language import nodes
from mlbayes.language.commands import FUNCTION_TABLE
from mlbayes.language.nodes import Name
from mlbayes.model.expressions import (
    Centring,
    Constant,
    Expression,
    Form,
    Operation,
    ParameterReference,
    Reference,
)
from mlbayes.model.model import Kind, Role, Variable
from mlbayes.model.names import INTERCEPT, PARAMETER_SUFFIXES, Names, Split
from mlbayes.model.notes import Notes
from mlbayes.model.units import Hierarchy
from mlbayes.problems import nearest
from mlbayes.source import Span

MISSING = ".missing"
ATOM = 9
STRENGTH = {"or": 1, "and": 2, "+": 4, "-": 4, "*": 5, "/": 5, "neg": 6, "^": 7}
COMPARISON = 3
LARGEST = 10_000  # parts of a definition
DEEPEST = 50  # definitions within definitions
MOST_TERMS = 500  # dummy products of one term


@dataclass(frozen=True)
class Resolved:
    """An expression and its printed text.  `strength`: how tightly its outermost operator binds.

    `plain`: a single variable or dummy code, which the report prints before products.
    """

    expression: Expression
    text: str
    strength: int = ATOM
    plain: bool = False
    span: Span | None = None

    def within(self, strength: int) -> str:
        """The text as an operand of an operator of this strength."""
        return self.text if self.strength >= strength else f"({self.text})"


@dataclass
class Resolver:
    """Resolves names; a failed name is reported and stands as a constant, so that work can go on."""

    names: Names
    variables: dict[str, Variable]
    hierarchy: Hierarchy
    notes: Notes
    _open: list[str] = field(default_factory=list)
    inserted: dict[str, Resolved] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)

    # ------------------------------------------------------------------ terms
    def terms(self, expression: nodes.Expression) -> list[Resolved]:
        """The terms that an expression of a predictor list stands for (several for nominal factors)."""
        if isinstance(expression, nodes.Binary) and expression.operator == "*":
            left, right = self.terms(expression.left), self.terms(expression.right)
            if len(left) * len(right) > MOST_TERMS:
                message = f"this product stands for {len(left) * len(right)} products of dummy codes"
                self.notes.problem(message, expression.span, f"at most {MOST_TERMS} are possible")
                return []
            return [product(one, other) for one in left for other in right]
        if isinstance(expression, Name):
            return self._named_terms(expression)
        resolved = self.expression(expression)
        brackets = not isinstance(expression, nodes.Call | nodes.Number)
        text = f"({resolved.text})" if brackets else resolved.text
        return [Resolved(resolved.expression, text, span=expression.span)]

    def _named_terms(self, name: Name) -> list[Resolved]:
        split = self.names.split(name.name)
        variable = self.variables.get(split.base) if split else None
        if variable is None or split is None or variable.kind is not Kind.NOMINAL:
            resolved = self.expression(name)
            is_definition = name.name in self.names.definitions
            return [replace(resolved, plain=not is_definition, strength=0 if is_definition else ATOM)]
        if split.form is not Form.VALUE:
            return [replace(self.expression(name), plain=True)]
        return [self._dummy(variable, code, name) for code in variable.codes if code != variable.reference]

    def _dummy(self, variable: Variable, code: int, name: Name) -> Resolved:
        reference = Reference(variable.name, variable.level, Form.DUMMY, code, variable.centring)
        return Resolved(reference, f"{variable.name}.{code}", plain=True, span=name.span)

    # ------------------------------------------------------------------ expressions
    def expression(self, expression: nodes.Expression) -> Resolved:
        """An expression with every name resolved."""
        match expression:
            case nodes.Number():
                return Resolved(Constant(expression.value), f"{expression.value:.15g}", span=expression.span)
            case Name():
                return replace(self._name(expression), span=expression.span)
            case nodes.Call():
                return self._call(expression)
            case nodes.Unary():
                operand = self.expression(expression.operand)
                if expression.operator == "+":
                    return operand
                text = "-" + operand.within(STRENGTH["neg"])
                return Resolved(
                    Operation("neg", (operand.expression,)), text, STRENGTH["neg"], span=expression.span
                )
            case nodes.Binary():
                return self._binary(expression)

    def _binary(self, expression: nodes.Binary) -> Resolved:
        left, right = self.expression(expression.left), self.expression(expression.right)
        operator = expression.operator
        strength = STRENGTH.get(operator, COMPARISON)
        mark = f" {operator} " if operator in ("and", "or") else operator
        # A right operand of equal strength needs its brackets: a - (b - c).
        text = left.within(strength) + mark + right.within(strength + 1)
        operation = Operation(operator, (left.expression, right.expression))
        return Resolved(operation, text, strength, span=expression.span)

    def _call(self, call: nodes.Call) -> Resolved:
        if call.function == "ismissing" and len(call.arguments) == 1:
            (argument,) = call.arguments
            if isinstance(argument, Name) and argument.name in self.variables:
                return self.expression(Name(argument.name + MISSING, span=call.span))
        arguments = [self.expression(argument) for argument in call.arguments]
        name = "ln" if call.function == "log" else call.function
        function = FUNCTION_TABLE.get(call.function)
        if function is None:
            hint = nearest(call.function, FUNCTION_TABLE)
            self.notes.problem(f"unknown function '{call.function}'", call.span, hint)
        elif function.only:
            hint = "make a variable with it in TRANSFORM" if function.only.startswith("TRANSFORM") else ""
            self.notes.problem(f"'{call.function}' belongs to {function.only}", call.span, hint)
        elif not function.least <= len(arguments) <= function.most:
            self.notes.problem(f"'{call.function}' cannot take {len(arguments)} argument(s)", call.span)
        text = f"{call.function}({','.join(argument.text for argument in arguments)})"
        return Resolved(operation(name, [a.expression for a in arguments]), text, span=call.span)

    # ------------------------------------------------------------------ names
    def _name(self, name: Name) -> Resolved:
        if name.name == INTERCEPT:
            return Resolved(Constant(1.0), "Intercept")
        split = self.names.split(name.name)
        if split is not None and split.base in self.variables:
            return self._reference(name, split, self.variables[split.base])
        if name.name in self.names.definitions:
            return self._definition(name)
        if name.name in self.names.labels | self.names.quantities or _derived(name.name):
            return Resolved(ParameterReference(name.name), name.name)
        self.unknown(name)
        return Resolved(Constant(0.0), name.name)

    def unknown(self, name: Name, declare: str = "") -> None:
        """Report a name that stands for nothing; `declare`: how it would be declared."""
        if self.names.split(name.name) is not None:
            hint = "only variables of the model have a place here"
            self.notes.problem(f"'{name.name}' is in the data but not in MODEL", name.span, hint)
            return
        if name.name in self.names.everything:
            hint = f"it is a label only; a latent variable is declared: LATENT: {name.name};"
        else:
            hint = nearest(name.name, self.names.everything)
            hint = f"{hint} {declare}".strip() if declare else hint
        hint = hint or "names are those of the data, of LATENT, definitions and labels"
        self.notes.problem(f"'{name.name}' is not known", name.span, hint)

    def _reference(self, name: Name, split: Split, variable: Variable) -> Resolved:
        base, form = variable.name, split.form
        if base in self.names.effects:
            if form is not Form.VALUE:
                hint = f"write '{base}'"
                self.notes.problem(f"the random effect '{base}' has no other form", name.span, hint)
            return Resolved(Reference(base, variable.level, Form.EFFECT), base)
        if form is Form.MEAN:
            return self._mean(name, variable)
        if form is Form.MISSING:
            return Resolved(Reference(self.indicator(name).name, variable.level), name.name)
        if form is Form.RESPONSE and variable.kind is not Kind.ORDINAL:
            self.notes.problem(f"'{base}.latent' needs '{base}' to be declared in ORDINAL", name.span)
        if form is Form.DUMMY and split.argument not in variable.codes:
            codes = ", ".join(str(code) for code in variable.codes)
            self.notes.problem(f"'{base}' has no code {split.argument}", name.span, f"its codes are {codes}")
        if form is Form.LAG and not split.argument:
            self.notes.problem(
                f"'{name.name}' is no earlier value", name.span, f"write '{base}' or '{base}.lag1'"
            )
        text = f"{base}.lag{split.argument}" if form is Form.LAG else name.name
        return Resolved(Reference(base, variable.level, form, split.argument, variable.centring), text)

    def indicator(self, name: Name) -> Variable:
        """`y.missing` is a complete binary variable of its own, which joins the others."""
        source = self.variables[name.name.removesuffix(MISSING)]
        if source.role is Role.LATENT or source.name in self.names.effects:
            self.notes.problem(f"'{source.name}' is latent, so '{name.name}' has no meaning", name.span)
        if name.name not in self.variables:
            values = source.missing.astype(np.float64)
            self.variables[name.name] = Variable(
                name.name, Kind.ORDINAL, source.level, Role.UNUSED, values, (0, 1), indicates=source.name
            )
        return self.variables[name.name]

    def _mean(self, name: Name, variable: Variable) -> Resolved:
        """The latent cluster mean of a variable, at the level in brackets or the next one above it."""
        level = variable.level + 1
        identifiers = self.hierarchy.identifiers
        if name.level is not None:
            if name.level not in identifiers:
                hint = nearest(name.level, identifiers)
                self.notes.problem(f"'{name.level}' is not an identifier of CLUSTERID", name.span, hint)
                return Resolved(Constant(0.0), name.name)
            level = identifiers.index(name.level) + 2
        if not variable.level < level <= self.hierarchy.levels:
            message = f"'{variable.name}' has no cluster means: it varies at level {variable.level}"
            hint = "'.mean' needs a variable below the level of a cluster"
            if not identifiers:
                hint = "name the clusters: CLUSTERID: ...;"
            self.notes.problem(message, name.span, hint)
            return Resolved(Constant(0.0), name.name)
        reference = Reference(variable.name, level, Form.MEAN, 0, variable.mean_centring)
        return Resolved(reference, f"{variable.name}.mean[{identifiers[level - 2]}]")

    def _definition(self, name: Name) -> Resolved:
        if name.name in self._open:
            cycle = " -> ".join([*self._open[self._open.index(name.name) :], name.name])
            self.notes.problem(f"a definition uses itself: {cycle}", name.span)
            return Resolved(Constant(0.0), name.name)
        if name.name not in self.inserted:
            if self._size(name.name) > LARGEST:
                message = f"the definition '{name.name}' is too large or too deeply nested"
                self.notes.problem(message, name.span, "compute parts of it in TRANSFORM")
                return Resolved(Constant(0.0), name.name)
            self._open.append(name.name)
            self.inserted[name.name] = self.expression(self.names.definitions[name.name].expression)
            self._open.pop()
        return Resolved(self.inserted[name.name].expression, name.name)

    def _size(self, definition: str, depth: int = 0) -> int:
        """How many names a definition has once those in it are inserted (too many if nested too deeply)."""
        if depth > DEEPEST:
            return LARGEST + 1
        if definition not in self._sizes:
            self._sizes[definition] = 1  # what a definition that uses itself counts
            found = nodes.names_in(self.names.definitions[definition].expression)
            self._sizes[definition] = sum(
                self._size(name.name, depth + 1) if name.name in self.names.definitions else 1
                for name in found
            )
        return self._sizes[definition]


def operation(function: str, arguments: Sequence[Expression]) -> Expression:
    """A function of arguments; sums and means are the additions that they stand for, which may hold unknown values."""
    if function not in ("sum", "mean"):
        return Operation(function, tuple(arguments))
    total = functools.reduce(lambda left, right: Operation("+", (left, right)), arguments)
    return total if function == "sum" else Operation("/", (total, Constant(float(len(arguments)))))


def product(left: Resolved, right: Resolved) -> Resolved:
    """A product term; anything but a name stands in brackets."""
    text = f"{left.within(STRENGTH['*'])}*{right.within(STRENGTH['*'])}"
    arguments = (*_factors(left), *_factors(right))
    return Resolved(Operation("*", arguments), text, STRENGTH["*"], span=_around(left.span, right.span))


def _around(first: Span | None, second: Span | None) -> Span | None:
    """The stretch of text from the first to the second place."""
    if first is None or second is None:
        return first or second
    return Span(min(first.start, second.start), max(first.end, second.end))


def _factors(resolved: Resolved) -> tuple[Expression, ...]:
    """The factors of a product term (a product of more than two is one flat operation)."""
    expression = resolved.expression
    if resolved.strength == STRENGTH["*"] and isinstance(expression, Operation):
        return expression.arguments
    return (expression,)


def _derived(name: str) -> bool:
    """Is this a quantity derived from the model, such as `y.totalvar`."""
    return name.rpartition(".")[2] in PARAMETER_SUFFIXES


def uncentred(expression: Expression) -> Expression:
    """The same expression without centring, for the left side of an equation."""
    if isinstance(expression, Reference):
        return replace(expression, centring=Centring.NONE)
    if isinstance(expression, Operation):
        return Operation(expression.operator, tuple(uncentred(a) for a in expression.arguments))
    return expression
