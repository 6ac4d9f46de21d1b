"""Components: equations that share parameters, latent variables or residual covariances, with their unknowns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mlbayes.model.model import Role
from mlbayes.plan.choice import Choice, outcome_logits, outcome_residuals
from mlbayes.plan.coefficients import all_parameters_of, equations_with, parameters_of
from mlbayes.plan.normal_forms import Regressions
from mlbayes.plan.partition import Conflicts, Unit, partition
from mlbayes.plan.polynomial import Atom
from mlbayes.plan.random_effects import effect_groups
from mlbayes.plan.regressions import OutcomeRegression
from mlbayes.plan.symbols import unsupported
from mlbayes.plan.unknowns import Residual
from mlbayes.problems import Problem, ProblemError, ProblemKind


def components(regressions: Regressions, common: Sequence[Atom]) -> list[list[OutcomeRegression]]:
    """Equations that share a parameter, a latent variable or a residual covariance, in order of the model.

    `common`: parameters that do not count, see `common_parameters`.
    """
    components: list[list[OutcomeRegression]] = []
    marks = {r.number: _marks(regressions, r) - set(common) for r in regressions.locations}
    for regression in regressions.locations:
        joined = [c for c in components if any(marks[regression.number] & marks[r.number] for r in c)]
        merged = [other for c in joined for other in c] + [regression]
        components = [c for c in components if c not in joined] + [merged]
    return [sorted(component, key=lambda r: r.number) for component in components]


def common_parameters(regressions: Regressions) -> tuple[Atom, ...]:
    """Parameters that tie the logits of a nominal outcome to each other, directly or by way of other equations.

    These logits have to be drawn in turn, so what ties them is drawn apart from all components.  Raises ProblemError
    (kind UNSUPPORTED) if that is something else.
    """
    common: tuple[Atom, ...] = ()
    while tied := _tied_logits(components(regressions, common)):
        held = dict.fromkeys(a for r in tied for a in all_parameters_of(regressions, r) if a not in common)
        more = [a for a in held if len(equations_with(regressions, a)) > 1]
        if not more:
            equation = tied[0].equation
            message = f"random effects in several logits of the nominal outcome '{equation.outcome}' cannot be run yet"
            raise ProblemError([Problem(message, equation.span, "", ProblemKind.UNSUPPORTED)])
        common = (*common, *more)
    return common


def _tied_logits(found: Sequence[Sequence[OutcomeRegression]]) -> list[OutcomeRegression]:
    """Logits of one outcome within a component."""
    sources = [Counter(r.planned.source for r in component if r.planned.of_several) for component in found]
    return [
        r
        for component, count in zip(found, sources, strict=True)
        for r in component
        if count[r.planned.source] > 1
    ]


def _marks(regressions: Regressions, r: OutcomeRegression) -> set[object]:
    """What two equations of a component have in common."""
    variables = regressions.model.variables
    atoms = r.expanded().atoms()
    latent = {a.name for a in atoms if a.kind == "value" and variables[a.name].role is Role.LATENT}
    if r.planned.of_several:  # what enters several logits is drawn value by value, not in their blocks
        latent = set()
    shared: set[Atom] = regressions.symbols.parameters_in(atoms)
    shared |= {Atom("effects of", atom.name, 0) for atom in atoms if atom.kind == "effect"}
    return {r.precision, *shared, *latent, *([r.covariance] if r.covariance else [])}


@dataclass
class Component:
    """A component's equations with its unknowns."""

    choice: Choice
    regressions: list[OutcomeRegression]

    def __post_init__(self) -> None:
        model = self.choice.model
        self.own = {r.number: r.expanded() for r in self.regressions}
        drawn = self.choice.regressions.is_drawn
        values = [r.left for r in self.regressions if r.normal and drawn(r.equation.outcome)]
        values = [a for a in values if a not in self.choice.modulators]
        self.latent = [a for a in values if model.variables[a.name].role is Role.LATENT]
        self.latent.sort(key=lambda a: not self._is_location(a))
        series = self.choice.symbols.lag_orders  # their missing values are drawn as series
        self.cells = [a for a in values if a not in self.latent and a.name not in series]
        self.transformed = [r for r in self.regressions if r.transformation and drawn(r.equation.outcome)]
        self.groups = [g for r in self.regressions for g in effect_groups(self.choice, r)]
        symbols = self.choice.symbols
        self.parameters = list(dict.fromkeys(a for r in self.regressions for a in parameters_of(r)))
        within = symbols.parameters_in(
            a for own in self.own.values() for a in own.atoms() if a.kind == "function"
        )
        self.parameters += sorted(within - set(self.parameters))
        self.parameters = [a for a in self.parameters if a not in self.choice.common]
        self.moving = [a for a in self.parameters if a in within]
        self.others, _ = outcome_residuals(self.choice, values, {r.number for r in self.regressions})
        self._set_stuck_apart()

    def _is_location(self, latent: Atom) -> bool:
        """Does a latent variable stand alone in the equation of another variable, as a mean or a score."""
        return any((latent,) in self.own[r.number].terms for r in self.regressions if r.outcome != latent)

    def _set_stuck_apart(self) -> None:
        """Values that occur in a power or in several logits of an outcome get a Metropolis step of their own."""
        polynomials = [*self.own.values(), *(r.polynomial for r in self.others)]
        unknowns = [*self.latent, *self.cells, *(a for g in self.groups for a in g.atoms), *self.parameters]
        self.conflicts = Conflicts(polynomials, unknowns)
        values = [*self.latent, *self.cells]
        several = [a for a in values if outcome_logits(self.choice, [a])]
        self.stuck = [a for a in values if a in self.conflicts.squared or a in several]
        covarying = {r.equation.outcome for r in self.regressions if r.covariance}
        for atom in self.stuck:
            if atom.name in covarying:
                what = "several logits with" if atom in several else "a power of"
                raise unsupported(
                    f"{what} '{atom.name}', which is correlated with others (~~), cannot be run yet"
                )
        self.moving += [a for a in self.parameters if a in self.conflicts.squared and a not in self.moving]
        self.parameters = [a for a in self.parameters if a not in self.moving]
        self.latent = [a for a in self.latent if a not in self.stuck]
        self.cells = [a for a in self.cells if a not in self.stuck]

    def residual(self, r: OutcomeRegression) -> Residual:
        """One of the equations as a residual."""
        return Residual(r.equation.title, self.own[r.number], r.equation.level, r.active, r.precision, True)

    def touched(self, chosen: set[Atom]) -> list[OutcomeRegression]:
        """The equations in which any of some unknowns occur."""
        return [r for r in self.regressions if self.own[r.number].atoms() & chosen]

    def equations_of(self, parameter: Atom) -> list[OutcomeRegression]:
        """The equations that a parameter enters, directly or inside a function."""
        symbols = self.choice.symbols
        return [r for r in self.regressions if parameter in symbols.parameters_in(self.own[r.number].atoms())]

    def sets(self) -> list[list[Unit]]:
        """The blocks: values first, then effects, then coefficients."""
        groups: list[Unit] = [g.atoms for g in self.groups]
        parameters: list[Unit] = [(a,) for a in self.parameters]
        values: list[Unit] = [(a,) for a in (*self.latent, *self.cells)]
        extend = [*(u for u in values if u[0].level > 1), *groups, *parameters]
        return partition(self.conflicts, [*values, *groups, *parameters], extend)
