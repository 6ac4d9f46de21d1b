"""Coefficients that several logits of a nominal outcome have in common, and the step that draws them.

Given the others, a logit is that of a binary outcome (Polya-Gamma), one at a time.  So no block can draw what enters
several logits: it is drawn by slice sampling with the multinomial probabilities.  Given the other coefficients a
common one would hardly move where its predictor has a mean far from 0, so the slice runs along a line on which they
make up for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.model import Role
from mlbayes.plan.categories import category_places
from mlbayes.plan.choice import Choice, PlannedStep, couplings, logits_of
from mlbayes.plan.coefficients import equations_with, parameters_of, top_unknown
from mlbayes.plan.parameters import Compensation, ParameterStep
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.random_effects import write_terms
from mlbayes.plan.symbols import Symbols
from mlbayes.plan.unknowns import Logits, Residual, TopUnknown

Vector = NDArray[np.float64]

ROWS = 5000  # that the direction of the line is computed from, if there are more
DIGITS = 6  # of the direction: any one will do, but it must not depend on how a processor rounds


def plan_common(choice: Choice, atom: Atom) -> None:
    """The step of a coefficient that several logits have in common; it may be in other equations, too."""
    regressions = choice.regressions
    entered = equations_with(regressions, atom)
    matrices = [c for c in regressions.covariances if any(r.number in c.members for r in entered)]
    covarying = {number for c in matrices for number in c.members}
    others = [
        r
        for r in regressions.locations
        if not r.planned.of_several and (r in entered or r.number in covarying)
    ]
    sources = dict.fromkeys(r.planned.source for r in entered if r.planned.of_several)
    logits = [logits_of(choice, source, composite=False) for source in sources]
    step = ParameterStep(choice.symbols, top_unknown(choice.model, atom))
    step.compensations = [c for source in sources for c in _Direction(choice, source, atom).compensations()]
    residuals = [
        Residual(r.equation.title, r.expanded(), r.equation.level, r.active, r.precision, squares=False)
        for r in others
    ]
    step.with_residuals(residuals, couplings(matrices, [r.number for r in others]), logits)
    moved = [r for r in regressions.locations if r in entered or r.planned.source in sources]
    write_terms(choice, moved)
    choice.steps.append(_words(atom, step, logits))


def _words(atom: Atom, step: ParameterStep, logits: Sequence[Logits]) -> PlannedStep:
    how = "slice sampling, width of the slice tuned in burn-in"
    if step.compensations:
        how += "; the other coefficients of the logits move along, so that fitted values change as little as they can"
    names = ", ".join(f"'{one.name}'" for one in logits)
    why = f"several logits of {names} have it in common, and only one logit at a time has a normal form"
    return PlannedStep(f"parameter {atom.name}", how, why)


@dataclass
class _Direction:
    """How the other coefficients of a nominal outcome move with one of them.

    By the curvature X'WX + prior precision of the log density, at coefficients of 0 but for the intercepts: what
    changes with the coefficient is then independent of what does not, as nearly as can be said beforehand.
    """

    choice: Choice
    source: int
    atom: Atom

    def __post_init__(self) -> None:
        self.regressions = [r for r in self.choice.regressions.locations if r.planned.source == self.source]
        self.predictors = [r.predictor(False) for r in self.regressions]

    def compensations(self) -> list[Compensation]:
        """The coefficients that move along; none where the predictor's own values are not known."""
        tops = self._candidates()
        columns = self._columns([self.atom, *(top.atom for top in tops)])
        tops = [top for top in tops if any(top.atom in each for each in columns)]
        if not tops or not any(self.atom in each for each in columns):
            return []
        curvature = self._curvature(columns, [self.atom, *(top.atom for top in tops)])
        curvature[1:, 1:] += np.diag([top.precision for top in tops])
        slopes = np.linalg.lstsq(curvature[1:, 1:], curvature[1:, 0], rcond=None)[0]
        rounded = [float(f"{slope:.{DIGITS - 1}e}") for slope in slopes]
        return [Compensation(top, slope) for top, slope in zip(tops, rounded, strict=True)]

    def _candidates(self) -> list[TopUnknown]:
        """Coefficients of the logits alone, without bounds and linear together with the common one."""
        choice = self.choice
        elsewhere = {
            parameter
            for r in choice.regressions.outcomes
            if r.planned.source != self.source
            for parameter in choice.symbols.parameters_in(r.expanded().atoms())
        }
        curved = {a for function in choice.symbols.functions.values() for a in function.parameters}
        linear = [self.atom]
        if self.atom in curved or not self._affine(linear):
            return []
        found = []
        for parameter in dict.fromkeys(a for r in self.regressions for a in parameters_of(r)):
            if parameter in elsewhere | curved | set(linear):
                continue
            top = top_unknown(choice.model, parameter)
            if top.bounds is None and self._affine([*linear, parameter]):
                linear.append(parameter)
                found.append(top)
        return found

    def _affine(self, atoms: Sequence[Atom]) -> bool:
        return all(predictor.is_affine_in(atoms) for predictor in self.predictors)

    def _columns(self, atoms: Sequence[Atom]) -> list[dict[Atom, Vector]]:
        """For each logit what coefficients are multiplied with, where that is data."""
        level = self.regressions[0].equation.level
        found = []
        for predictor in self.predictors:
            split = predictor.by_unknown(atoms)
            values = {a: _numbers(self.choice.symbols, split[a], level) for a in atoms if a in split}
            found.append({a: x for a, x in values.items() if x is not None})
        return found

    def _curvature(self, columns: Sequence[dict[Atom, Vector]], atoms: Sequence[Atom]) -> Vector:
        """Negative second derivatives of the log likelihood by coefficients at probabilities that are the shares."""
        places = category_places(self.choice.model.variables[self.regressions[0].equation.outcome])
        rows = np.flatnonzero(places >= 0)
        weight = max(1.0, rows.size / ROWS)
        rows = rows[np.unique((np.arange(min(rows.size, ROWS)) * weight).astype(np.int64))]
        counts = np.bincount(places[rows].astype(np.int64), minlength=len(columns) + 1) + 0.5
        shares = (counts / counts.sum())[1:]
        curvature = np.zeros((len(atoms), len(atoms)))
        own = [[atoms.index(a) for a in each if a in atoms] for each in columns]
        x = [np.stack([each[atoms[i]][rows] for i in at]) for each, at in zip(columns, own, strict=True)]
        for k, (left, at) in enumerate(zip(x, own, strict=True)):
            for m, (right, beside) in enumerate(zip(x, own, strict=True)):
                scale = weight * shares[k] * ((k == m) - shares[m])
                curvature[np.ix_(at, beside)] += scale * (left @ right.T)
        return curvature


def _numbers(symbols: Symbols, polynomial: Polynomial, level: int) -> Vector | None:
    """Values over the units of a level, means in place of missing ones; None where something else is unknown."""
    total = np.zeros(symbols.units(level))
    for monomial, number in polynomial.terms.items():
        product = np.full(total.size, number)
        for atom in monomial:
            values = _values(symbols, atom)
            if values is None:
                return None
            top = atom.level == TOP
            product = product * (
                values if top else values[symbols.model.hierarchy.ancestors(level, atom.level)]
            )
        total = total + product
    return total


def _values(symbols: Symbols, atom: Atom) -> Vector | None:
    """Values of a symbol that is data, for a variable's missing values their mean."""
    if atom in symbols.static:
        return symbols.static[atom]
    variable = symbols.model.variables.get(atom.name)
    if atom.kind not in ("value", "code") or variable is None or variable.role is Role.LATENT:
        return None
    values = variable.values if atom.kind == "value" else (variable.values == atom.index).astype(np.float64)
    seen = values[~variable.missing]
    return np.where(variable.missing, seen.mean() if seen.size else 0.0, values)
