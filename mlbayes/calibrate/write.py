"""A World into the store of a chain: what steps read, including responses and precisions that are drawn for it.

After `Writer.write` and `Writer.bring_up_to_date` the store is a draw from the joint law of everything that the sampler
has: `read.Reader` finds the same World in it.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.calibrate.read import name_of
from mlbayes.calibrate.world import Vector, World, labels_of
from mlbayes.engine.sweep import run_step
from mlbayes.model.model import Distribution, Model
from mlbayes.plan import plan as p
from mlbayes.plan.affine import AffineBlock
from mlbayes.plan.categories import category_labels
from mlbayes.plan.choose import PlannedModel
from mlbayes.plan.plan import Work
from mlbayes.plan.polynomial import Atom
from mlbayes.plan.starts import compute_functions
from mlbayes.plan.unknowns import EffectGroup

DETERMINISTIC = (
    p.STEP_PROGRAM,
    p.STEP_PRODUCTS,
    p.STEP_FILLS,
    p.STEP_COVARIANCE,
    p.STEP_EXPLAIN,
    p.STEP_MOMENTS,
    p.STEP_QUANTILES,
)
TERMS = 200  # of the sum of gamma variables that a Polya-Gamma variable is
PASSES = 2  # of deterministic steps: what one step shows to an earlier one is there in the next


class Writer:
    """Writes into stores of one plan."""

    def __init__(self, planned: PlannedModel) -> None:
        self.planned = planned
        self.model: Model = planned.model
        self.symbols = planned.symbols

    def write(self, world: World, store: Vector, rng: Generator) -> None:
        """Put everything that the steps read where they read it; derived vectors are left to deterministic steps."""
        for atom in self.symbols.place:
            values = self._value(world, atom)
            if values is not None and self.symbols.is_dynamic(atom):
                self.put(store, atom, values)
        self._predictors(world, store)
        self._outcomes(world, store, rng)
        self._codes(store)
        for name in self.symbols.lag_orders:
            self._series(world, store, name)
        assert compute_functions(self.planned, store), (
            "functions are finite at values that data were drawn with"
        )
        self.sync(store)

    def put(self, store: Vector, atom: Atom, values: Vector | float) -> None:
        """Values of a symbol."""
        offset = self.symbols.place[atom]
        store[offset : offset + self.symbols.units(atom.level)] = values

    def _value(self, world: World, atom: Atom) -> Vector | float | None:
        """The value of a symbol that a World knows."""
        name = name_of(self.model, atom)
        match atom.kind:
            case "value":
                return world.data[atom.name]
            case "mean":
                return world.means[name, atom.level]
            case "grand":
                return world.grand[name]
            case "response":
                return world.responses[name]
            case "parameter":
                return world.parameters[atom.name]
            case "effect":
                r = self.planned.regressions.outcomes[int(atom.name)]
                group = next(g for g in r.equation.random if g.level == atom.level and atom.index in g.terms)
                effects = world.effects[r.planned.source, r.planned.category, atom.level]
                return effects[group.terms.index(atom.index)]
            case "code":
                return (world.data[atom.name] == atom.index).astype(np.float64)
            case "lag":
                return world.lag(atom.name, atom.index)
        return None

    def _predictors(self, world: World, store: Vector) -> None:
        parts: dict[str, int] = {}
        for part in self.planned.regressions.predictors:
            number = parts.setdefault(part.name, 0)
            for atom, slope in zip(part.slopes, world.slopes[part.name, number], strict=True):
                self.put(store, atom, float(slope))
            if not part.fixed:
                store[part.precision] = 1.0 / world.residuals[part.name, number]
            if part.cuts >= 0:
                cuts = world.cuts[part.variable]
                store[part.cuts : part.cuts + cuts.size] = cuts
            parts[part.name] += 1

    # ------------------------------------------------------------------ outcomes
    def _outcomes(self, world: World, store: Vector, rng: Generator) -> None:
        for r in self.planned.regressions.outcomes:
            k, category, residual = r.planned.source, r.planned.category, r.equation.residual
            if residual in world.parameters and not r.covariance and r.population < 0:
                store[r.precision] = 1.0 / world.parameters[str(residual)]
            if r.population >= 0:
                assert r.root is not None
                store[r.population : r.population + 2] = world.populations[k]
                self.put(store, r.root, world.cluster_variances[k] ** -0.5)
            if r.cuts >= 0:
                cuts = world.cuts.get(r.equation.outcome, np.zeros(1))
                store[r.cuts : r.cuts + cuts.size] = cuts
            if r.dispersion >= 0:
                store[r.dispersion] = world.dispersions[k]
            for group, place in zip(r.equation.random, r.factors, strict=True):
                matrix = world.matrices[k, category, group.level][::-1, ::-1]
                put_triangle(store, place, np.linalg.cholesky(matrix))
            if r.left.kind == "transformed" and self.symbols.is_dynamic(r.left):
                self.put(store, r.left, world.evaluate(r.equation.left, r.equation.level))
            if r.equation.distribution in (Distribution.LOGIT, Distribution.MULTINOMIAL):
                self._logit(world, store, r.number, rng)
            elif r.equation.distribution is Distribution.NEGATIVE_BINOMIAL:
                size = 1.0 / world.dispersions[k]
                values = np.nan_to_num(world.data[r.equation.outcome])
                self._working(store, r.number, values + size, world.fitted(k), np.log(size), rng, values)
        for b, c in enumerate(self.planned.regressions.covariances):
            matrix, m = world.covariances[b], len(c.members)
            put_triangle(store, c.factor, np.linalg.cholesky(matrix))
            put_triangle(store, c.precision, np.linalg.inv(matrix))
            if c.parts >= 0:
                sds = np.sqrt(np.diag(matrix))
                store[c.parts : c.parts + m] = sds
                put_triangle(store, c.parts + m, matrix / np.outer(sds, sds))

    def _logit(self, world: World, store: Vector, number: int, rng: Generator) -> None:
        """Response and precision of an ordered logit, or working response of a binary one or of one of several."""
        r = self.planned.regressions.outcomes[number]
        k, category = r.planned.source, r.planned.category
        variable = self.model.variables[r.equation.outcome]
        fitted = world.fitted(k, category)
        if r.left.kind == "response":
            assert r.root is not None
            self.put(store, r.root, np.sqrt(logistic_precision(world.responses[variable.name] - fitted, rng)))
            return
        values = world.data[variable.name]
        if category is None:
            self._working(
                store, number, np.ones(fitted.size), fitted, 0.0, rng, values == labels_of(variable)[1]
            )
            return
        codes = dict.fromkeys(t.category for t in self.model.equations[k].terms)
        others = np.log1p(sum(np.exp(world.fitted(k, code)) for code in codes if code != category))
        self._working(store, number, np.ones(fitted.size), fitted, others, rng, values == category)

    def _working(
        self,
        store: Vector,
        number: int,
        size: Vector,
        fitted: Vector,
        shift: Vector | float,
        rng: Generator,
        values: Vector,
    ) -> None:
        """A Polya-Gamma precision for each unit and its working response."""
        r = self.planned.regressions.outcomes[number]
        assert r.root is not None
        precision = polya_gamma(size, fitted - shift, rng)
        self.put(store, r.root, np.sqrt(precision))
        self.put(store, r.left, (np.asarray(values, np.float64) - 0.5 * size) / precision + shift)

    def _codes(self, store: Vector) -> None:
        """Places of categories that are missing, from their values."""
        index = self.planned.plan.index
        for row in self.planned.plan.responses:
            cells = index[row[p.RESPONSE_CELLS] : row[p.RESPONSE_CELLS] + row[p.RESPONSE_CELL_COUNT]]
            if cells.size:
                labels = store[row[p.RESPONSE_LABELS] :][: row[p.RESPONSE_CATEGORIES]]
                numbers = store[row[p.RESPONSE_NUMBER] :][: row[p.RESPONSE_UNITS]][cells]
                store[row[p.RESPONSE_CODE] + cells] = np.abs(numbers[:, None] - labels).argmin(axis=1)
        for atom in self.symbols.place:
            if atom.kind == "place":
                variable = self.model.variables[atom.name]
                labels = np.array(category_labels(variable))
                value = self.symbols.place[Atom("value", atom.name, atom.level)]
                numbers = store[value : value + self.symbols.units(atom.level)]
                self.put(store, atom, np.abs(numbers[:, None] - labels).argmin(axis=1).astype(np.float64))

    def _series(self, world: World, store: Vector, name: str) -> None:
        series, place = self.symbols.series(name), self.symbols.series_values(name)
        store[place + series.rows] = world.data[name]
        store[place + series.before] = world.before[name].ravel()

    # ------------------------------------------------------------------ blocks
    def sync(self, store: Vector) -> None:
        """Put current values where blocks keep what they have drawn last."""
        for block in self.planned.blocks:
            self.sync_block(store, block.number)

    def sync_block(self, store: Vector, number: int) -> None:
        """The same for one block, standardised effects among them; several blocks may draw the same."""
        block = next(block for block in self.planned.blocks if block.number == number)
        self._sync_values(store, block)
        for group in block.groups:
            self._sync_group(store, block, group)

    def sync_values(self, store: Vector, pending: Collection[int]) -> None:
        """Coefficients and values alone, of blocks other than those that have drawn and not shown them yet."""
        for block in self.planned.blocks:
            if block.number not in pending:
                self._sync_values(store, block)

    def _sync_values(self, store: Vector, block: AffineBlock) -> None:
        for i, top in enumerate(block.tops):
            store[block.values + i] = store[self.symbols.place[top.atom]]
        for unknown in block.unknowns:
            if unknown.group:
                continue
            tier, place = block.effect_offset(unknown.atom)
            offset, n = self.symbols.place[unknown.atom], tier.units.units
            members = np.arange(n) if tier.units.members is None else tier.units.members
            store[place : place + n] = store[offset + members]

    def _sync_group(self, store: Vector, block: AffineBlock, group: EffectGroup) -> None:
        n, size = self.symbols.units(group.level), len(group.atoms)
        factor = np.zeros((size, size))
        factor[np.tril_indices(size)] = store[group.factor :][: size * (size + 1) // 2]
        effects = np.stack([store[self.symbols.place[atom] :][:n] for atom in group.atoms])
        for atom, values in zip(group.atoms, np.linalg.solve(factor, effects), strict=True):
            _, place = block.effect_offset(atom)
            store[place : place + n] = values

    def bring_up_to_date(self, store: Vector, rng: Generator, work: Work) -> None:
        """Run all deterministic steps."""
        plan = self.planned.plan
        for _ in range(PASSES):
            for row in plan.steps:
                if row[0] in DETERMINISTIC:
                    run_step(plan, store, row, 1, 0, rng, work)


# ------------------------------------------------------------------ precisions of scale mixtures
def polya_gamma(size: Vector, z: Vector, rng: Generator) -> Vector:
    """Polya-Gamma draws by their sum of gamma variables, its tail at its mean (Polson et al. 2013, equation 1)."""
    k = np.arange(1, TERMS + 1)[:, None] - 0.5
    weights = 0.5 / np.pi**2 / (k**2 + (z / (2.0 * np.pi)) ** 2)
    total = (weights * rng.standard_gamma(size, (TERMS, size.size))).sum(axis=0)
    half = 0.5 * np.abs(z)
    mean = np.where(half < 1e-6, 0.25, np.tanh(half) / np.maximum(4.0 * half, 1e-12))
    return np.asarray(total + size * (mean - weights.sum(axis=0)))


def logistic_precision(residual: Vector, rng: Generator) -> Vector:
    """The precision 1 / (4 K^2) of a logistic variable as a normal one, given its value; K Kolmogorov.

    Drawn on a grid of K: Kolmogorov density times normal density.
    """
    from scipy.stats import kstwobign

    grid = np.linspace(0.15, 4.0, 1200)
    sd = 2.0 * grid
    log_density = np.log(np.maximum(kstwobign.pdf(grid), 1e-300)) - np.log(sd)
    scores = log_density - 0.5 * (residual[:, None] / sd) ** 2
    shares = np.cumsum(np.exp(scores - scores.max(axis=1, keepdims=True)), axis=1)
    places = (rng.random(residual.size)[:, None] * shares[:, -1:] > shares).sum(axis=1)
    width = grid[1] - grid[0]
    k = grid[np.minimum(places, grid.size - 1)] + width * (rng.random(residual.size) - 0.5)
    return np.asarray(0.25 / k**2)


def put_triangle(store: Vector, place: int, matrix: NDArray[np.floating]) -> None:
    """The lower triangle of a matrix in packed form."""
    n = len(matrix)
    store[place : place + n * (n + 1) // 2] = matrix[np.tril_indices(n)]
