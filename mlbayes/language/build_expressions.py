"""From the grammar's trees to nodes: expressions, which all kinds of statements share.

The transformer does not recurse, and trees are not deeper than `syntax.MAX_DEPTH`.
"""

from __future__ import annotations

import math

from lark import Token, v_args
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from mlbayes.language.commands import FUNCTION_TABLE
from mlbayes.language.expand import Budget, expand_range
from mlbayes.language.nodes import Binary, Call, Expression, Name, Number, Unary
from mlbayes.language.split import Statement, shortened
from mlbayes.problems import Problem, ProblemError, nearest
from mlbayes.source import Span

MAX_RANGE_SUM = 150
"""A sum over a range becomes a chain of additions, and chains must not be too deep to walk."""

_OPERATORS = {"**": "^"}


def problem(message: str, span: Span, hint: str = "") -> ProblemError:
    """A single problem, ready to be raised."""
    return ProblemError([Problem(message, span, hint)])


def span_of(meta: Meta) -> Span:
    """The place in the script of a subtree (its tokens carry offsets of the script)."""
    return Span(meta.start_pos, meta.end_pos)


def token_span(token: Token) -> Span:
    """The place of a token in the script."""
    return Span(token.start_pos or 0, token.end_pos or 0)


def name_of(token: Token) -> Name:
    """A name as node."""
    return Name(token.lower(), None, token_span(token))


def number_of(token: Token, sign: float = 1.0) -> Number:
    """A finite number as node."""
    value = float(token)
    if not math.isfinite(value):
        raise problem("this number is too large", token_span(token))
    return Number(sign * value, token_span(token))


@v_args(inline=True, meta=True)
class ExpressionBuilder(Transformer_NonRecursive):
    """Builds the nodes of expressions; subclasses add those of statements."""

    def __init__(self, statement: Statement, budget: Budget) -> None:
        super().__init__()
        self.statement = statement
        self.budget = budget

    def number(self, meta: Meta, token: Token) -> Number:
        """A number without a sign."""
        return number_of(token)

    def signed_number(self, meta: Meta, *tokens: Token) -> Number:
        """A number with an optional sign, as after `@`."""
        number = number_of(tokens[-1], -1.0 if tokens[0].type == "MINUS" else 1.0)
        return Number(number.value, span_of(meta))

    def reference(self, meta: Meta, token: Token, level: str | None = None) -> Name:
        """A name with an optional level marker."""
        return Name(token.lower(), level, span_of(meta))

    def level(self, meta: Meta, token: Token) -> str:
        """The identifier in brackets."""
        return token.lower()

    def unary(self, meta: Meta, sign: Token, operand: Expression) -> Unary:
        """A sign in front of an operand."""
        return Unary(str(sign), operand, span_of(meta))

    def binary(self, meta: Meta, left: Expression, operator: Token, right: Expression) -> Binary:
        """Two operands and what stands between them."""
        return Binary(_OPERATORS.get(operator, operator.lower()), left, right, span_of(meta))

    def call(self, meta: Meta, token: Token, *arguments: Expression) -> Call:
        """A function that exists, with as many arguments as it takes."""
        name = token.lower()
        function = FUNCTION_TABLE.get(name)
        if function is None:
            hint = nearest(name[:40], FUNCTION_TABLE)
            raise problem(f"there is no function '{shortened(name)}'", token_span(token), hint)
        if not function.least <= len(arguments) <= function.most:
            message = f"'{name}' takes {function.arguments}, found {len(arguments)}"
            raise problem(message, span_of(meta))
        return Call(name, arguments, span_of(meta))

    def range_sum(self, meta: Meta, token: Token) -> Expression:
        """`x1:+:x3` as x1 + x2 + x3."""
        span = token_span(token)
        names = expand_range(str(token), ":+:", span, self.budget)
        if len(names) > MAX_RANGE_SUM:
            raise problem(f"a sum over a range has at most {MAX_RANGE_SUM} names, found {len(names)}", span)
        total: Expression = Name(names[0], None, span)
        for name in names[1:]:
            total = Binary("+", total, Name(name, None, span), span)
        return total

    def _names_of(self, token: Token) -> tuple[Name, ...]:
        """The names of a NAME or RANGE token."""
        if token.type != "RANGE":
            return (name_of(token),)
        span = token_span(token)
        return tuple(Name(name, None, span) for name in expand_range(str(token), ":", span, self.budget))
