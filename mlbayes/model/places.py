"""Where in the script a variable of the model is spoken of."""

from __future__ import annotations

from collections.abc import Iterable

from mlbayes.model.expressions import references
from mlbayes.model.model import Equation
from mlbayes.source import Span


def place_of(name: str, equations: Iterable[Equation]) -> Span | None:
    """The equation of a variable, else the first term with it; None where nothing written speaks of it."""
    for equation in equations:
        if equation.outcome == name:
            return equation.span
        for term in equation.terms:
            if any(reference.variable == name for reference in references(term.expression)):
                return term.span
    return None
