"""Statements of MODEL and WALDTEST as nodes.

The grammar reads both sides of every operator as terms; what may stand on a side is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from lark import Token, v_args
from lark.tree import Meta

from mlbayes.language.build_expressions import ExpressionBuilder, name_of, problem, span_of
from mlbayes.language.commands import OTHER_OPERATORS
from mlbayes.language.nodes import (
    Constraint,
    Covariance,
    Definition,
    Expression,
    Loading,
    ModelStatement,
    Name,
    Number,
    RandomTerm,
    Regression,
    Tag,
    Term,
    Variance,
)
from mlbayes.source import Span

Terms = tuple[Term, ...]


def flatten(groups: Iterable[Terms]) -> Terms:
    """The terms of several ranges as one list."""
    return tuple(term for group in groups for term in group)


def as_predictor(expression: Expression) -> Expression:
    """`1` is the intercept and `0` stands for nothing; no other number is a predictor."""
    if not isinstance(expression, Number) or expression.value == 0:
        return expression
    if expression.value == 1:
        return Name("intercept", None, expression.span)
    raise problem("a number other than 0 and 1 cannot be a predictor", expression.span)


def without_tags(terms: Terms, side: str) -> Terms:
    """The terms, none of which may carry a tag."""
    for term in terms:
        if term.tag is not None:
            raise problem(f"'@' cannot stand {side}", term.span)
    return terms


def as_names(terms: Terms, what: str) -> tuple[Name, ...]:
    """The names that the terms consist of."""
    return tuple(_as_name(term, what) for term in terms)


def _as_name(term: Term, what: str) -> Name:
    if not isinstance(term.expression, Name) or term.expression.name == "intercept":
        raise problem(f"{what} must be a name", term.span)
    return term.expression


def as_outcomes(terms: Terms, side: str = "left of '~'") -> tuple[Expression, ...]:
    """The outcomes that the terms consist of."""
    for term in terms:
        if isinstance(term.expression, Number) or term.expression == Name("intercept"):
            hint = (
                "'f -> y1 y2' makes f a predictor of both; a regression is written y ~ 1 x"
                if ">" in side
                else ""
            )
            raise problem(f"an outcome must be a variable {side}", term.span, hint)
    return tuple(term.expression for term in terms)


@v_args(inline=True, meta=True)
class StatementBuilder(ExpressionBuilder):
    """Builds the statements of MODEL and WALDTEST."""

    block: str | None = None

    def model(self, meta: Meta, statement: ModelStatement | Definition) -> tuple[ModelStatement, ...]:
        """A statement that is one node."""
        return (replace(statement, block=self.block),)

    def tag(self, meta: Meta, value: Number | Token) -> Tag:
        """What follows `@`."""
        return value if isinstance(value, Number) else name_of(value)

    def term(self, meta: Meta, item: Expression | Token, tag: Tag | None = None) -> Terms:
        """A predictor, or one for each name of a range."""
        return tuple(Term(as_predictor(each), tag, span_of(meta)) for each in self._expressions(item))

    def random_term(self, meta: Meta, item: Expression | Token, *marks: Any) -> tuple[RandomTerm, ...]:
        """A term right of `|` with its level and tag, or one for each name of a range."""
        level = next((mark for mark in marks if isinstance(mark, str)), None)
        tag = next((mark for mark in marks if not isinstance(mark, str)), None)
        expressions = self._expressions(item)
        return tuple(RandomTerm(as_predictor(each), level, tag, span_of(meta)) for each in expressions)

    def _expressions(self, item: Expression | Token) -> Sequence[Expression]:
        return self._names_of(item) if isinstance(item, Token) else (item,)

    def outcomes(self, meta: Meta, *terms: Terms) -> tuple[Terms, bool]:
        """The left side of a regression, read as a sequence."""
        return flatten(terms), False

    def parallel(self, meta: Meta, *terms: Terms) -> tuple[Terms, bool]:
        """The left side of a regression in braces."""
        return flatten(terms), True

    def terms(self, meta: Meta, *terms: Terms) -> Terms:
        """The right side of a regression up to the bar."""
        return flatten(terms)

    def random(self, meta: Meta, *terms: tuple[RandomTerm, ...]) -> tuple[RandomTerm, ...]:
        """What stands right of the bar."""
        return tuple(term for group in terms for term in group)

    def regression(
        self,
        meta: Meta,
        outcomes: tuple[Terms, bool],
        operator: Token,
        terms: Terms,
        bar: Token | None = None,
        random: tuple[RandomTerm, ...] | None = None,
    ) -> Regression:
        """`outcomes ~ terms | random`."""
        left, parallel = outcomes
        if not terms and random is None:
            raise problem(f"there is no predictor after '{operator}'", span_of(meta),
                          "write '1' for a model without predictors")  # fmt: skip
        without_tags(left, f"left of '{operator}'")
        return Regression(as_outcomes(left), terms, random, parallel, span=span_of(meta))

    def loading(self, meta: Meta, *items: Any) -> tuple[Loading]:
        """`left -> targets`."""
        left, right = self._sides(items)
        without_tags(left, "left of '->'")
        as_outcomes(right, "right of '->'")
        return (Loading(left, right, self.block, span_of(meta)),)

    def covariance(self, meta: Meta, *items: Any) -> tuple[Covariance]:
        """`left ~~ right`."""
        left, right = self._sides(items)
        names = as_names(without_tags(left, "left of '~~'"), "what has a covariance")
        as_names(right, "what has a covariance")
        return (Covariance(names, right, self.block, span_of(meta)),)

    def _sides(self, items: Sequence[Any]) -> tuple[Terms, Terms]:
        middle = next(i for i, item in enumerate(items) if isinstance(item, Token))
        return flatten(items[:middle]), flatten(items[middle + 1 :])

    def variance(self, meta: Meta, *items: Terms) -> tuple[Variance, ...]:
        """`names@tag`; the tag belongs to all names before it."""
        statements: list[Variance] = []
        waiting: list[Name] = []
        for group in items:
            waiting += as_names(group, "what has a variance")
            if group[0].tag is not None:
                span = Span(waiting[0].span.start, group[0].span.end)
                statements.append(Variance(tuple(waiting), group[0].tag, self.block, span))
                waiting = []
        if waiting:
            hint = "a statement of MODEL needs an operator such as '~', '~~', '->', '=' or '@'"
            words = [name.name for name in waiting]
            hint = next((other for word, other in OTHER_OPERATORS.items() if word in words), hint)
            raise problem("this statement has no operator", span_of(meta), hint)
        return tuple(statements)

    def definition(self, meta: Meta, name: Token, equals: Token, expression: Expression) -> Definition:
        """`name = expression`."""
        return Definition(name.lower(), expression, span=span_of(meta))

    # -------------------------------------------------------------- WALDTEST
    def waldtest(self, meta: Meta, regression: Regression) -> Regression:
        """A nested equation."""
        return regression

    def constraint_value(self, meta: Meta, *items: Any) -> Constraint:
        """`labels = number`."""
        *terms, _, value = items
        return Constraint(self._labels(terms), value, span_of(meta))

    def constraint_labels(self, meta: Meta, *items: Any) -> Constraint:
        """`label = labels`."""
        *terms, _, names = items
        return Constraint(self._labels(terms), names, span_of(meta))

    def _labels(self, terms: Sequence[Terms]) -> tuple[Name, ...]:
        return as_names(without_tags(flatten(terms), "in a Wald test"), "what a Wald test constrains")
