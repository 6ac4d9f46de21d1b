"""Expressions, tags and terms as text, the way reports and saved labels show them."""

from __future__ import annotations

import math

from mlbayes.language.nodes import Binary, Call, Expression, Name, Number, Tag, Unary

_PRECEDENCE = {"or": 1, "and": 2, "+": 4, "-": 4, "*": 5, "/": 5, "^": 7}
_COMPARISON, _SIGN, _ATOM = 3, 6, 8


def print_expression(expression: Expression) -> str:
    """An expression as a term of an equation: a product of names, calls and bracketed expressions.

    `x*z`, `(x1^2)`, `(time_i==1)`, `(y_i.lag1-ymean_j)*phi_j`, `Intercept`.
    """
    if isinstance(expression, Binary) and expression.operator == "*":
        right = print_expression(expression.right)
        nested = isinstance(expression.right, Binary) and expression.right.operator == "*"
        return f"{print_expression(expression.left)}*{f'({right})' if nested else right}"
    if isinstance(expression, Name | Call | Number):
        return print_formula(expression)
    return f"({print_formula(expression)})"


def print_formula(expression: Expression) -> str:
    """An expression with no more parentheses than it needs: `a1*b1+ab_cov`."""
    match expression:
        case Number(value):
            return print_number(value)
        case Name():
            return _print_name(expression)
        case Call(function, arguments):
            return f"{function}({','.join(map(print_formula, arguments))})"
        case Unary(operator, operand):
            return operator + _print_operand(operand, _SIGN)
        case Binary(operator, left, right):
            return _print_binary(operator, left, right)


def _print_binary(operator: str, left: Expression, right: Expression) -> str:
    level = _PRECEDENCE.get(operator, _COMPARISON)
    least_left, least_right = level, level + 1
    if operator == "^":
        least_left, least_right = _ATOM, _SIGN
    elif level == _COMPARISON:
        least_left = level + 1
    shown = f" {operator} " if operator.isalpha() else operator
    return _print_operand(left, least_left) + shown + _print_operand(right, least_right)


def _print_operand(operand: Expression, least: int) -> str:
    text = print_formula(operand)
    return text if _level(operand) >= least else f"({text})"


def _level(expression: Expression) -> int:
    match expression:
        case Binary(operator):
            return _PRECEDENCE.get(operator, _COMPARISON)
        case Unary():
            return _SIGN
        case Number(value) if math.copysign(1.0, value) < 0:
            return _SIGN
        case _:
            return _ATOM


def _print_name(name: Name) -> str:
    text = "Intercept" if name.name == "intercept" else name.name
    if text.endswith(".lag"):
        text += "1"
    return text if name.level is None else f"{text}[{name.level}]"


def print_number(value: float) -> str:
    """A number with as few characters as tell it apart from others: `1`, `0.5`, `-3`, `Inf`."""
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def print_tag(tag: Tag) -> str:
    """What stands behind `@`."""
    return print_number(tag.value) if isinstance(tag, Number) else _print_name(tag)


def print_term(expression: Expression, tag: Tag | None = None) -> str:
    """A term with its tag: `x*z@b3`."""
    return print_expression(expression) + ("" if tag is None else f"@{print_tag(tag)}")
