"""The equations as the planner sees them: one linear predictor each, so a nominal outcome has one per logit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mlbayes.model.model import Distribution, Equation, Model


@dataclass(frozen=True)
class PlannedEquation:
    """An equation with one linear predictor.

    `source`: position in `Model.equations`; `positions`: its terms in that equation; `category`: of a nominal
    outcome, the code whose log odds against the reference it is; `logits`: how many of these the outcome has.
    """

    source: int
    equation: Equation
    positions: tuple[int, ...]
    category: int | None = None
    logits: int = 1

    @property
    def of_several(self) -> bool:
        """Is it one of several logits: only given the others is it the equation of a binary outcome."""
        return self.logits > 1


def planned_equations(model: Model) -> list[PlannedEquation]:
    """All equations of a model, those of nominal outcomes taken apart by category."""
    found = []
    for source, equation in enumerate(model.equations):
        if equation.distribution is Distribution.MULTINOMIAL:
            categories = dict.fromkeys(term.category for term in equation.terms)
            found += [_of_category(source, equation, category, len(categories)) for category in categories]
        else:
            found.append(PlannedEquation(source, equation, tuple(range(len(equation.terms)))))
    return found


def _of_category(source: int, equation: Equation, category: int | None, logits: int) -> PlannedEquation:
    positions = tuple(t for t, term in enumerate(equation.terms) if term.category == category)
    random = tuple(
        replace(group, terms=tuple(positions.index(t) for t in group.terms))
        for group in equation.random
        if group.terms[0] in positions
    )
    part = replace(
        equation,
        title=f"{equation.title}.{category}",
        terms=tuple(equation.terms[t] for t in positions),
        random=random,
    )
    return PlannedEquation(source, part, positions, category, logits)
