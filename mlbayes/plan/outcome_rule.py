"""Rule for outcomes and latent variables with normal distributions.

Equations that share parameters, latent variables or residual covariances form a component.  Its unknowns are
parted into blocks without products among their members; blocks are drawn in turn, each jointly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlbayes.model.model import RandomEffects, Role
from mlbayes.plan import plan as p
from mlbayes.plan.affine import AffineBlock
from mlbayes.plan.choice import (
    Choice,
    PlannedStep,
    Theta,
    add_collapsed,
    add_variance,
    couplings,
    outcome_logits,
    outcome_residuals,
    plan_cells,
    plan_transformed_cells,
)
from mlbayes.plan.collapse import Collapsing, parameters_of, top_unknown
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.newton import standardised
from mlbayes.plan.nominal import plan_outcome_categories
from mlbayes.plan.normal_forms import Regressions
from mlbayes.plan.parameters import Companions, ParameterStep
from mlbayes.plan.partition import Conflicts, Unit, partition
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.priors import inverse_gamma_arguments
from mlbayes.plan.regressions import OutcomeRegression, ResidualCovariance
from mlbayes.plan.responses import plan_category_response, plan_outcome_response
from mlbayes.plan.scale_moves import scale_moves, write_scale_move
from mlbayes.plan.selection import find_selection, plan_selection
from mlbayes.plan.symbols import unsupported
from mlbayes.plan.unknowns import Coupling, EffectGroup, Residual, TopUnknown, Unknown
from mlbayes.plan.weighted_rule import plan_weighted
from mlbayes.plan.weights import cluster_weights
from mlbayes.problems import Problem, ProblemError, ProblemKind

REPEATS = 4  # of collapsed steps in a sweep, with three levels or latent variables; what follows takes longer
SEPARATE = {
    1.0: (1.0, 0.5),
    0.0: (0.0, 0.0),
}  # priors of variances under prior1 and prior3, by the scale of theirs


def components(regressions: Regressions) -> list[list[OutcomeRegression]]:
    """Equations that share a parameter, a latent variable or a residual covariance, in order of the model."""
    components: list[list[OutcomeRegression]] = []
    marks = {r.number: _marks(regressions, r) for r in regressions.locations}
    for regression in regressions.locations:
        joined = [c for c in components if any(marks[regression.number] & marks[r.number] for r in c)]
        merged = [other for c in joined for other in c] + [regression]
        components = [c for c in components if c not in joined] + [merged]
    for component in components:
        _refuse_common_logits(component)
    return [sorted(component, key=lambda r: r.number) for component in components]


def _refuse_common_logits(component: list[OutcomeRegression]) -> None:
    """Logits of one outcome have to be drawn in turn, so they cannot have parameters in common."""
    sources = [r.planned.source for r in component if r.planned.of_several]
    for r in component:
        if sources.count(r.planned.source) > 1:
            message = (
                f"labels or random effects in several logits of the nominal outcome '{r.equation.outcome}'"
                " cannot be run yet"
            )
            raise ProblemError([Problem(message, r.equation.span, "", ProblemKind.UNSUPPORTED)])


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


def plan_outcomes(choice: Choice, component: list[OutcomeRegression]) -> None:
    """Plan the equations of a component."""
    parts = Component(choice, component)
    for atom in parts.stuck:
        plan_cells(choice, atom.name, [])
    for r in parts.transformed:
        plan_transformed_cells(choice, r)
    for r in component:
        for k, group in enumerate(r.equation.random):
            set_fixed_factor(choice, r, k, group.variance)
    if parts.groups and cluster_weights(choice.model) is not None:
        for r in component:  # one only: mlbayes.plan.supported
            plan_weighted(choice, r, parts.groups)
            first = choice.builder.count("program")
            publish_terms(choice, r)
            choice.builder.step_program(first)
        return
    for r in component:
        if r.planned.of_several:
            _plan_logit(choice, r)
    sets = [{atom for unit in units for atom in unit} for units in parts.sets()]
    blocks = [BlockPlan(choice, parts, chosen, parts.touched(chosen)) for chosen in sets]
    left = [r for r in component if r.continuous and not any(r in block.included for block in blocks)]
    if left:  # nothing in them is linear and free, but they have residual variances
        blocks.append(BlockPlan(choice, parts, set(), left))
    alone: list[Atom] = []
    for atom in parts.moving:
        block = next((b for b in blocks if b.can_move(atom)), None)
        (alone if block is None else block.moving).append(atom)
    for block in blocks:
        block.only = len(blocks) == 1 and not alone
        block.write()
    for atom in alone:
        _plan_parameter(choice, parts, atom)
    for move in scale_moves(choice, parts):
        write_scale_move(choice, move)
    for r in component:
        if not r.continuous:
            selection = find_selection(choice, r)
            if selection is not None:
                plan_selection(choice, selection)
                first = choice.builder.count("program")
                for moved in (selection.outcome, selection.missingness):
                    publish_terms(choice, moved)
                choice.builder.step_program(first)
            plan_outcome_response(choice, r, [g for g in parts.groups if g.atoms[0].name == str(r.number)])
            first = choice.builder.count("program")
            publish_terms(choice, r)
            choice.builder.step_program(first)


def _plan_logit(choice: Choice, r: OutcomeRegression) -> None:
    """What comes before the block of one of several logits: missing categories, once, and its working response."""
    logits = [other for other in choice.regressions.outcomes if other.planned.source == r.planned.source]
    variable = choice.model.variables[r.equation.outcome]
    if r is logits[0] and variable.incomplete and r.active.all():
        plan_outcome_categories(choice, logits)
    plan_category_response(choice, r)


def _plan_parameter(choice: Choice, parts: Component, atom: Atom) -> None:
    """A parameter whose equations are in several blocks: slice sampling given everything else."""
    entered = parts.equations_of(atom)
    matrices = [c for c in choice.regressions.covariances if any(r.number in c.members for r in entered)]
    covarying = {number for c in matrices for number in c.members}
    equations = [r for r in parts.regressions if r in entered or r.number in covarying]
    residuals = [_residual(parts, r) for r in equations]
    step = ParameterStep(choice.symbols, top_unknown(choice.model.parameters[atom.name], atom))
    _bring_in_jacobian(step, entered)
    step.with_residuals(residuals, couplings(matrices, [r.number for r in equations]))
    first = choice.builder.count("program")
    for r in entered:
        publish_terms(choice, r)
    choice.builder.step_program(first)
    choice.steps.append(
        PlannedStep(
            f"parameter {atom.name}",
            "slice sampling given everything else, width of the slice tuned in burn-in",
            "it enters equations in a power or inside a function, and no block holds all of them",
        )
    )


def _bring_in_jacobian(
    step: ParameterStep, entered: list[OutcomeRegression], companions: Companions = ()
) -> None:
    """The Jacobian of a transformation whose power is drawn, and the scales that move along with it."""
    for r in entered:
        if r.transformation is not None and r.transformation.power == step.target:
            step.with_jacobian(r, companions)


def _residual(parts: Component, r: OutcomeRegression) -> Residual:
    """An equation of a component as a residual."""
    return Residual(r.equation.title, parts.own[r.number], r.equation.level, r.active, r.precision, True)


class BlockPlan:
    """One block of a component: its unknowns, equations and steps."""

    def __init__(
        self, choice: Choice, parts: Component, chosen: set[Atom], touched: list[OutcomeRegression]
    ) -> None:
        self.only = True
        self.moving: list[Atom] = []  # parameters drawn with the block integrated out
        self.choice = choice
        self.builder = choice.builder
        self.parts = parts
        self.chosen = chosen
        precisions = {r.precision for r in touched}  # equations with the same variance count for it
        self.included = [r for r in parts.regressions if r.precision in precisions]
        blocks = {r.covariance for r in self.included if r.covariance}
        self.included = [r for r in parts.regressions if r in self.included or r.covariance in blocks]
        self.covariances = [c for c in choice.regressions.covariances if c.name in blocks]
        self.groups = [g for g in parts.groups if g.atoms[0] in chosen]
        self.values = [a for a in (*parts.latent, *parts.cells) if a in chosen]
        self.tops = [a for a in parts.parameters if a in chosen]
        self.thetas: list[Theta] = []

    def _top(self, atom: Atom) -> TopUnknown:
        return top_unknown(self.choice.model.parameters[atom.name], atom)

    def can_move(self, atom: Atom) -> bool:
        """Can a parameter be drawn with the block integrated out: does it hold all of its equations.

        The integral is not known where coefficients have bounds.
        """
        return all(r in self.included for r in self.parts.equations_of(atom)) and not any(
            self._top(top).bounds for top in self.tops
        )

    def write(self) -> None:
        """Append the steps of the block."""
        choice, model = self.choice, self.choice.model
        residuals = [_residual(self.parts, r) for r in self.included]
        self.others = outcome_residuals(
            choice, self.values, {r.number for r in self.parts.regressions}, len(residuals)
        )
        residuals += self.others[0]
        unknowns = [
            Unknown(
                a, None if a in self.parts.latent else model.variables[a.name].missing, cells=a.level == 1
            )
            for a in self.values
        ]
        unknowns += [Unknown(a, group=True) for g in self.groups for a in g.atoms]
        tops = [self._top(a) for a in self.tops]
        self.block = AffineBlock(choice.symbols, unknowns, tops, residuals, self.groups, self._couplings())
        first = self.builder.count("steps")
        self.block.prepare()
        choice.blocks.append(self.block)
        for g in self.groups:
            for atom in g.atoms:
                _, place = self.block.effect_offset(atom)
                choice.symbols.place[standardised(atom)] = place
        last = self.builder.count("steps")
        self.variances = self._variances()
        self.free = self._free_groups()
        for atom in self.moving:
            step = ParameterStep(choice.symbols, self._top(atom))
            entered = self.parts.equations_of(atom)
            _bring_in_jacobian(step, entered, self._companions(entered))
            step.with_block(self.block.number, first, last)
        self._steps()
        choice.steps.append(self._words())

    def _couplings(self) -> list[Coupling]:
        numbers = [r.number for r in self.included]
        return [*couplings(self.covariances, numbers), *self.others[1]]

    # ------------------------------------------------------------------ steps
    def _steps(self) -> None:
        builder = self.builder
        variances, free = self.variances, self.free
        wisharts = [self._covariance_row(c) for c in self.covariances]
        integrated = bool(self.groups or self.values)
        if integrated and not any(top.bounds for top in self.block.tops):
            repeats = REPEATS if self.choice.model.hierarchy.levels > 2 or self.parts.latent else 1
            names = ", ".join(r.equation.title for r in self.included)
            for chunk in Collapsing(self, free, variances, wisharts).chunks():
                self.thetas += chunk
                turned = [theta.reversed() for theta in chunk] if self.parts.latent else chunk
                if turned != chunk:
                    add_collapsed(self.choice, self.block, chunk, names, repeats - repeats // 2)
                    add_collapsed(self.choice, self.block, turned, names, repeats // 2)
                else:
                    add_collapsed(self.choice, self.block, chunk, names, repeats)
        builder.step(p.STEP_DRAW, self.block.number)
        for row in free:
            builder.step(p.STEP_CONJUGATE, row)
        if free and len(free) == len(self.groups) and not self.values and self._interweaves():
            builder.step(p.STEP_INTERWEAVE, self.block.number, builder.zeros(2))
        for row in variances.values():
            builder.step(p.STEP_VARIANCE, self.block.number, row)
        for c, row in zip(self.covariances, wisharts, strict=True):
            builder.step(p.STEP_WISHART if c.parts < 0 else p.STEP_SEPARATE, self.block.number, row)
        first = builder.count("program")
        self.block.publish_values()
        for r in self.included:
            publish_terms(self.choice, r)
        builder.step_program(first)

    def _interweaves(self) -> bool:
        """Does each effect belong to one column as it is, and do all equations count in the lowest tier."""
        uses = [self.block.uses[atom] for g in self.groups for atom in g.atoms]
        plain = all(len(use) == 1 and use[0].scale.constant() == 1.0 for use in uses)
        return plain and all(not tier.crosses for tier in self.block.tiers[1:])

    def _variances(self) -> dict[int, int]:
        """Rows of the residual variances that are drawn here, by the place of their precision."""
        rows = {}
        for precision in dict.fromkeys(r.precision for r in self.included if not r.covariance):
            sharing = [r for r in self.parts.regressions if r.precision == precision]
            if sharing[0].equation.residual is None or sharing[0].heterogeneous:
                continue
            parameter = self.choice.model.parameters[sharing[0].equation.residual]
            if parameter.fixed is None and all(r in self.included for r in sharing):
                count = sum(int(r.active.sum()) for r in sharing)
                prior = inverse_gamma_arguments(parameter.prior)
                rows[precision] = add_variance(self.choice, precision, prior, count)
        return rows

    def _companions(self, entered: list[OutcomeRegression]) -> Companions:
        """Residual variances and covariance matrices of random effects, drawn here, that belong to some equations."""
        tables = self.builder.tables
        found = []
        for precision, row in self.variances.items():
            if any(r.precision == precision for r in entered):
                _, prior, count = tables["variances"][row]
                found.append((p.COMPANION_PRECISION, precision, count, prior))
        numbers = {str(r.number) for r in entered}
        for group, row in zip(self.groups, self.block.group_rows, strict=True):
            if row in self.free and group.separate is None and group.atoms[0].name in numbers:
                df = tables["groups"][row][p.GROUP_DF]
                found.append((p.COMPANION_FACTOR, group.factor, len(group.atoms), df))
        return found

    def _covariance_row(self, c: ResidualCovariance) -> int:
        prior = self.builder.vector([c.df, c.scale])
        row = [len(c.members), c.precision, c.factor, prior, c.units, c.parts, max(c.free, 0)]
        return self.builder.add("covariances", row)

    def _free_groups(self) -> list[int]:
        """Covariance groups that are estimated (a single variance may be fixed by the user)."""
        rows = dict(zip((g.atoms for g in self.groups), self.block.group_rows, strict=True))
        free = []
        for r in self.parts.regressions:
            for group, made in zip(r.equation.random, effect_groups(self.choice, r), strict=True):
                name = group.variance
                fixed = name is not None and self.choice.model.parameters[name].fixed is not None
                if made.atoms in rows and not fixed:
                    free.append(rows[made.atoms])
        return free

    # ------------------------------------------------------------------ words
    def _words(self) -> PlannedStep:
        names = ", ".join(r.equation.title for r in self.included)
        latent = [a.name for a in self.values if a in self.parts.latent]
        cells = [a.name for a in self.values if a in self.parts.cells]
        drawn = [f"latent {', '.join(latent)}"] if latent else []
        drawn += [f"missing values of {', '.join(cells)}"] if cells else []
        drawn += ["random effects"] if self.groups else []
        drawn += ["coefficients"] if self.tops else []
        if not drawn:
            drawn = ["residual variances"]
        how = "one exact joint Gaussian draw by elimination; conjugate draws of variances"
        if any(c.parts >= 0 for c in self.covariances):
            how += (
                ", slice sampling of variances and correlations with separate priors, fixed or equal elements"
            )
        why = "the equations are linear in all of them"
        alone = ", ".join(atom.name for atom in self.moving)
        if alone:
            drawn.append(alone)
            why += f" but {alone}, which they hold in a power or inside a function"
        if self.others[0]:
            why += ", and so are the equations of " + ", ".join(r.name for r in self.others[0])
        if self.groups or self.values:
            kinds = {theta.kind for theta in self.thetas}
            moved = "variances and loadings" if p.THETA_COEFFICIENT in kinds else "variances"
            how = (
                f"{moved} by Metropolis steps with all of these integrated out; then {how}" if kinds else how
            )
            why += "; variances depend so strongly on effects and scores that they must not be drawn given them alone"
        if self.groups and not self.values:
            how += ", interweaving"
        if alone:
            how = f"{alone} by slice sampling with all of the rest integrated out; then {how}"
        if not self.only:
            why += "; what is multiplied with them is drawn in another block"
        return PlannedStep(
            f"equation{'s' if len(self.included) > 1 else ''} of {names}: {', '.join(drawn)}", how, why
        )


def set_fixed_factor(choice: Choice, r: OutcomeRegression, k: int, name: str | None) -> None:
    """Give a random-effect variance that the user fixed its value."""
    value = choice.model.parameters[name].fixed if name is not None else None
    if value is not None:
        first = choice.builder.count("program")
        choice.builder.instruct(p.OP_COPY, r.factors[k], 1, choice.builder.scalar(float(np.sqrt(value))))
        choice.builder.step_program(first)


def publish_terms(choice: Choice, r: OutcomeRegression) -> None:
    """Coefficients together with their random effects, for the steps of other blocks."""
    symbols, builder = choice.symbols, choice.builder
    for t in range(len(r.terms)):
        symbol = r.term_symbol(t)
        if symbol is None:
            continue
        units = builder.unit_set(symbol.level, symbols.units(symbol.level), None, None)
        total = r.coefficients[t]
        for level in r.random_levels(t):
            total = total + Polynomial.of(r.effect(level, t))
        value = Evaluator(symbols, units).vector(total)
        builder.instruct(p.OP_COPY, symbols.offset(symbol), units.units, value)


def _group_atoms(r: OutcomeRegression, group: RandomEffects) -> list[Atom]:
    """Symbols of a group's effects, the intercept last: it then has an innovation of its own given the slopes."""
    return [r.effect(group.level, t) for t in reversed(group.terms)]


def effect_groups(choice: Choice, r: OutcomeRegression) -> list[EffectGroup]:
    """The random effects of an equation, level by level."""
    phantom = "use_phantom" in choice.model.settings.options
    result = []
    for group, factor in zip(r.equation.random, r.factors, strict=True):
        df, scale = group.prior.arguments
        if group.variance is not None:  # a variance alone, with the prior of its parameter
            a, b = inverse_gamma_arguments(choice.model.parameters[group.variance].prior)
            df, scale = 2.0 * a, 2.0 * b
        atoms = tuple(_group_atoms(r, group))
        separate = None
        if phantom and len(atoms) > 1:
            separate = SEPARATE.get(scale, (-1.0, 0.0)) if df > -len(atoms) - 1.0 else (-1.0, 0.0)
            df, scale = -len(atoms) - 1.0, 0.0
        result.append(EffectGroup(atoms, group.level, df, scale, factor, separate))
    return result
