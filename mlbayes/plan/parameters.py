"""The step of a parameter that enters its equations other than linearly: a power, or inside a function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.followers import Followers, Form
from mlbayes.plan.regressions import OutcomeRegression
from mlbayes.plan.symbols import Symbols
from mlbayes.plan.transformations import Transformation
from mlbayes.plan.unknowns import Coupling, Logits, Residual, TopUnknown

Companions = Sequence[tuple[int, int, int, int]]  # rows of the table of that name
WIDTH = 0.5  # of the first interval of a slice, before burn-in adapts it


@dataclass(frozen=True)
class Compensation:
    """A coefficient that falls by `slope` times what the parameter of a step rises, and is free otherwise.

    The Jacobian of such a change is 1, whatever the slope.
    """

    top: TopUnknown
    slope: float


class ParameterStep:
    """Writes the step of one parameter, given its prior.

    `compensations`: coefficients that move along with it; to be set before the step is appended.
    """

    def __init__(self, symbols: Symbols, prior: TopUnknown) -> None:
        self.symbols = symbols
        self.builder = symbols.builder
        self.prior = prior
        self.target = prior.atom
        self.functions = [a for a, f in symbols.functions.items() if self.target in f.parameters]
        self.tilt = self.rate = self.builder.zero
        self.companions: Companions = ()
        self.compensations: Sequence[Compensation] = ()

    def with_jacobians(self, regressions: Sequence[OutcomeRegression], companions: Companions = ()) -> None:
        """Take the parameter as the power of transformed outcomes, where it is one.

        `companions`: scales that move along with it.  To be called before the step is appended.
        """
        for r in regressions:
            if r.transformation is not None and r.transformation.power == self.target:
                self._with_jacobian(r, r.transformation)
                self.companions = companions

    def _with_jacobian(self, r: OutcomeRegression, transformation: Transformation) -> None:
        """The Jacobian of an outcome's transformation.

        The log Jacobian gains the sum of log T'(y) per unit of the power, the log of the scale of T(y) their mean.
        Appends instructions where values are drawn.
        """
        builder = self.builder
        count = int(r.active.sum())
        values = self.symbols.model.variables[r.equation.outcome].values
        if not self.symbols.is_dynamic(r.outcome) or np.isnan(values[r.active]).sum() == 0:
            total = float(transformation.log_slope_rate(values[r.active]).sum())
            self.tilt, self.rate = builder.scalar(total), builder.scalar(total / count)
        else:
            self.tilt, self.rate = builder.zeros(1), builder.zeros(1)
            with builder.program():
                units = self._units(r.equation.level)
                z = Evaluator(self.symbols, units).vector(self.symbols.polynomial(r.equation.left))
                self._signed_logarithms(z, units.units)
                builder.instruct(p.OP_SCALE, self.rate, 1, self.tilt, builder.scalar(1.0 / count))

    def _signed_logarithms(self, z: int, n: int) -> None:
        """Instructions that put the sum of sign(z) log(1 + |z|) into the tilt."""
        builder = self.builder
        zeros = builder.zeros(n)
        above, below = builder.zeros(n), builder.zeros(n)
        builder.instruct(p.OP_COPY, above, n, z)
        builder.instruct(p.OP_SCALE, below, n, z, builder.scalar(-1.0))
        for side in (above, below):
            builder.instruct(p.OP_MAXIMUM, side, n, zeros)
            builder.instruct(p.OP_ADD_SCALAR, side, n, builder.one)
            builder.instruct(p.OP_LOG, side, n, side)
        builder.instruct(p.OP_SUBTRACT, above, n, below)
        builder.instruct(p.OP_SUM, self.tilt, n, above)

    def with_block(self, block: int, first: int, last: int) -> None:
        """Append the step with a block integrated out; steps first..last-1 bring the block up to date."""
        start = self.builder.count("program")
        self._functions()
        end = self.builder.count("program")
        none = self.builder.count("quadratics")
        self._step([start, end, none, none, block, first, last])

    def with_residuals(
        self, residuals: Sequence[Residual], couplings: Sequence[Coupling], logits: Sequence[Logits] = ()
    ) -> None:
        """Append the step given the residuals that it enters and those which covary with them.

        `logits`: nominal outcomes in whose logits it is.
        """
        with self.builder.program():
            anchors = [self._anchor(compensation) for compensation in self.compensations]

        def update() -> list[Form]:
            self._functions()
            for compensation, anchor in zip(self.compensations, anchors, strict=True):
                self._compensate(compensation, anchor)
            return [self._prior_of(c.top) for c in self.compensations if c.top.precision > 0.0]

        moving = {self.target, *self.functions, *(c.top.atom for c in self.compensations)}
        followers = Followers(self.symbols, moving, update)
        self._step([*followers.write(residuals, couplings, logits), -1, 0, 0])

    # ------------------------------------------------------------------ coefficients that move along
    def _anchor(self, compensation: Compensation) -> int:
        """Instructions that compute what does not change when a coefficient moves along; its place."""
        builder, anchor = self.builder, self.builder.zeros(1)
        builder.instruct(p.OP_COPY, anchor, 1, self.symbols.offset(compensation.top.atom))
        slope = builder.scalar(compensation.slope)
        builder.instruct(p.OP_ADD_SCALED, anchor, 1, slope, self.symbols.offset(self.target))
        return anchor

    def _compensate(self, compensation: Compensation, anchor: int) -> None:
        """Instructions that put a coefficient where it belongs at the parameter's value."""
        builder, target = self.builder, self.symbols.offset(compensation.top.atom)
        builder.instruct(p.OP_COPY, target, 1, anchor)
        slope = builder.scalar(-compensation.slope)
        builder.instruct(p.OP_ADD_SCALED, target, 1, slope, self.symbols.offset(self.target))

    def _prior_of(self, top: TopUnknown) -> Form:
        """Instructions that compute a coefficient's distance from its prior mean; the quadratic form of its prior."""
        builder, distance = self.builder, self.builder.zeros(1)
        builder.instruct(p.OP_COPY, distance, 1, self.symbols.offset(top.atom))
        builder.instruct(p.OP_ADD_SCALAR, distance, 1, builder.scalar(-top.mean))
        return distance, distance, 1, builder.scalar(top.precision)

    def _step(self, places: list[int]) -> None:
        low, high = self.prior.bounds or (-np.inf, np.inf)
        prior = self.builder.vector([self.prior.precision, self.prior.mean, low, high])
        width = self.builder.vector([WIDTH])
        first = self.builder.count("companions")
        for companion in self.companions:
            self.builder.add("companions", companion)
        last = self.builder.count("companions")
        row = [self.symbols.offset(self.target), prior, *places, width, self.tilt, self.rate, first, last]
        self.builder.step(p.STEP_PARAMETER, self.builder.add("parameters", row))

    def _units(self, level: int) -> UnitSet:
        return self.builder.unit_set(level, self.symbols.units(level), None, None)

    def _functions(self) -> None:
        """Instructions that compute the functions of the parameter, arguments first."""
        for atom in self.functions:
            function = self.symbols.functions[atom]
            evaluator = Evaluator(self.symbols, self._units(atom.level))
            arguments = [evaluator.vector(argument) for argument in function.arguments]
            function.instruct(
                self.builder, self.symbols.offset(atom), self.symbols.units(atom.level), arguments
            )
