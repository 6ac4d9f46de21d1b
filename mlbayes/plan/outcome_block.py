"""Blocks of components: unknowns without products among them, drawn jointly, and the steps around that draw."""

from __future__ import annotations

from mlbayes.plan import plan as p
from mlbayes.plan.affine import AffineBlock
from mlbayes.plan.choice import (
    Choice,
    PlannedStep,
    Theta,
    add_collapsed,
    add_variance,
    couplings,
    outcome_residuals,
)
from mlbayes.plan.coefficients import top_unknown
from mlbayes.plan.collapse import Collapsing
from mlbayes.plan.components import Component
from mlbayes.plan.newton import standardised
from mlbayes.plan.parameters import Companions, ParameterStep
from mlbayes.plan.polynomial import Atom
from mlbayes.plan.priors import inverse_gamma_arguments
from mlbayes.plan.random_effects import effect_groups, publish_terms
from mlbayes.plan.regressions import OutcomeRegression, ResidualCovariance
from mlbayes.plan.unknowns import Coupling, TopUnknown, Unknown

REPEATS = 4  # of collapsed steps in a sweep where what follows takes longer than they do


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
        return top_unknown(self.choice.model, atom)

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
        residuals = [self.parts.residual(r) for r in self.included]
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
            step.with_jacobians(entered, self._companions(entered))
            step.with_block(self.block.number, first, last)
        self._steps()
        choice.steps.append(self._words())

    def _couplings(self) -> list[Coupling]:
        numbers = [r.number for r in self.included]
        return [*couplings(self.covariances, numbers), *self.others[1]]

    def _slow(self) -> bool:
        """Three levels, latent variables or responses to draw: a collapsed step is a small part of such a sweep."""
        augmented = any(not r.continuous for r in self.included)
        return augmented or bool(self.parts.latent) or self.choice.model.hierarchy.levels > 2

    # ------------------------------------------------------------------ steps
    def _steps(self) -> None:
        builder = self.builder
        variances, free = self.variances, self.free
        wisharts = [self._covariance_row(c) for c in self.covariances]
        integrated = bool(self.groups or self.values)
        if integrated and not any(top.bounds for top in self.block.tops):
            repeats = REPEATS if self._slow() else 1
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
        with builder.program():
            self.block.publish_values()
            for r in self.included:
                publish_terms(self.choice, r)

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
