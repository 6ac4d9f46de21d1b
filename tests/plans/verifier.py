"""The plan verifier: the dense joint precision of an affine block, to compare with the elimination.

Residuals are evaluated row by row from the state, through `symbols.place`/`static` and the hierarchy alone;
nothing here knows columns, tiers, cross products or instructions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from toys import Running, Script, vector

from mlbayes.engine import substitution
from mlbayes.engine.elimination import eliminate, top_quadratic
from mlbayes.plan.affine import AffineBlock
from mlbayes.plan.choose import PlannedModel
from mlbayes.plan.polynomial import TOP, Atom


@dataclass
class Part:
    """Places of one unknown in the dense vector: which units of its level, and from where on."""

    atom: Atom
    units: np.ndarray
    first: int

    @property
    def places(self) -> slice:
        return slice(self.first, self.first + self.units.size)


class Dense:
    """exp(-(t'Pt - 2h't + c)/2): the joint density of a block's unknowns t up to a constant.

    Effects are standardised: b = L u.  `c` has the residuals only whose variance is drawn in the block.
    """

    def __init__(self, planned: PlannedModel, store: np.ndarray, block: AffineBlock) -> None:
        self.planned, self.store, self.block = planned, store, block
        self.parts: list[Part] = []
        self.size = 0
        for unknown in block.unknowns:
            n = planned.symbols.units(unknown.atom.level)
            units = np.arange(n) if unknown.mask is None else np.flatnonzero(unknown.mask)
            self._add(unknown.atom, units)
        for top in block.tops:
            self._add(top.atom, np.zeros(1, np.int64))
        self._build()

    def _add(self, atom: Atom, units: np.ndarray) -> None:
        self.parts.append(Part(atom, units, self.size))
        self.size += units.size

    # ------------------------------------------------------------------ residuals
    def value(self, atom: Atom, level: int, known: dict[Atom, np.ndarray]) -> np.ndarray:
        """Values of a symbol over the units of a level; `known` instead of what the store holds."""
        values = known[atom] if atom in known else vector(self.planned, self.store, atom)
        if atom.level == TOP:
            return np.full(self.planned.symbols.units(level), values[0])
        return values[self.planned.model.hierarchy.ancestors(level, atom.level)]

    def residual(self, e: int, known: dict[Atom, np.ndarray]) -> np.ndarray:
        """Residuals of equation e over all units of its level."""
        residual = self.block.residuals[e]
        total = np.zeros(self.planned.symbols.units(residual.level))
        for monomial, number in residual.polynomial.terms.items():
            product = np.full(total.size, number)
            for atom in monomial:
                product = product * self.value(atom, residual.level, known)
            total = total + product
        return total

    def zeros(self) -> dict[Atom, np.ndarray]:
        """Every unknown 0 where it is unknown, as observed elsewhere."""
        known = {}
        for part in self.parts:
            values = np.array(vector(self.planned, self.store, part.atom), dtype=float)
            values[part.units] = 0.0
            known[part.atom] = values
        return known

    def design(self, e: int, active: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """A and r0 of residual = r0 + A t, for the active units."""
        residual = self.block.residuals[e]
        active = residual.active if active is None else active
        zero = self.zeros()
        r0 = self.residual(e, zero)
        a = np.zeros((r0.size, self.size))
        for part in self.parts:
            if part.atom.level < residual.level:
                continue  # a residual of clusters has nothing of single rows
            one = {atom: values.copy() for atom, values in zero.items()}
            one[part.atom][part.units] = 1.0
            derivative = self.residual(e, one) - r0
            if part.atom.level == TOP:
                unit = np.zeros(r0.size, np.int64)
            else:
                unit = self.planned.model.hierarchy.ancestors(residual.level, part.atom.level)
            place = np.full(self.planned.symbols.units(part.atom.level), -1)
            place[part.units] = np.arange(part.units.size)
            rows = np.flatnonzero(place[unit] >= 0)
            a[rows, part.first + place[unit[rows]]] = derivative[rows]
        return a[active], r0[active]

    def whitening(self) -> np.ndarray:
        """T with (unknowns on their own scale) = T t: effects are L times standardised ones."""
        t = np.eye(self.size)
        by_atom = {part.atom: part for part in self.parts}
        for group in self.block.groups:
            factor = self.factor(group)
            for i, a in enumerate(group.atoms):
                for j in range(len(group.atoms)):
                    rows, columns = by_atom[a].places, by_atom[group.atoms[j]].places
                    t[rows, columns] = factor[i, j] * np.eye(by_atom[a].units.size)
        return t

    def factor(self, group) -> np.ndarray:
        """Cholesky factor of a group's covariance matrix."""
        p = len(group.atoms)
        lower = np.zeros((p, p))
        lower[np.tril_indices(p)] = self.store[group.factor : group.factor + p * (p + 1) // 2]
        return lower

    def _build(self) -> None:
        n = self.size
        self.precision, self.linear, self.constant = np.zeros((n, n)), np.zeros(n), 0.0
        t = self.whitening()
        self.designs = []
        for e, residual in enumerate(self.block.residuals):
            omega = self.store[residual.precision]
            a, r0 = self.design(e)
            a = a @ t
            self.designs.append((a, r0))
            self.precision += omega * a.T @ a
            self.linear -= omega * a.T @ r0
            if residual.squares:
                self.constant += omega * r0 @ r0
        for pair in self.block.couplings:
            both = self.block.residuals[pair.first].active & self.block.residuals[pair.second].active
            omega = self.store[pair.precision]
            (a, r0), (b, s0) = (self.design(e, both) for e in (pair.first, pair.second))
            a, b = a @ t, b @ t
            self.precision += omega * (a.T @ b + b.T @ a)
            self.linear -= omega * (a.T @ s0 + b.T @ r0)
            if self.block.residuals[pair.first].squares:
                self.constant += 2.0 * omega * r0 @ s0
        by_atom = {part.atom: part for part in self.parts}
        for unknown in self.block.unknowns:
            if unknown.group:
                places = by_atom[unknown.atom].places
                self.precision[places, places] += np.eye(by_atom[unknown.atom].units.size)
        for top in self.block.tops:
            k = by_atom[top.atom].first
            self.precision[k, k] += top.precision
            self.linear[k] += top.precision * top.mean

    # ------------------------------------------------------------------ what the engine should give
    @property
    def mean(self) -> np.ndarray:
        return np.linalg.solve(self.precision, self.linear)

    def collapsed(self) -> float:
        """log det P + c - h'P^-1 h: -2 times the log of the integral over the unknowns."""
        sign, log_determinant = np.linalg.slogdet(self.precision)
        assert sign > 0
        return log_determinant + self.constant - self.linear @ self.mean

    def squares(self, precision: int, t: np.ndarray) -> float:
        """Sum of squared residuals that have a precision."""
        total = 0.0
        for residual, (a, r0) in zip(self.block.residuals, self.designs, strict=True):
            if residual.precision == precision and residual.squares:
                total += float(((r0 + a @ t) ** 2).sum())
        return total


# ------------------------------------------------------------------ the engine's side
def engine_collapsed(running: Running, block: AffineBlock) -> float:
    plan, store, work = running.planned.plan, running.store, running.work
    return eliminate(plan, store, block.number, False, work) + top_quadratic(plan, store, block.number, work)


def engine_vector(store: np.ndarray, dense: Dense) -> np.ndarray:
    """The block's unknowns as the engine has drawn them, in the order of the dense vector."""
    t = np.zeros(dense.size)
    atoms = [top.atom for top in dense.block.tops]
    for part in dense.parts:
        if part.atom in atoms:
            t[part.first] = store[dense.block.values + atoms.index(part.atom)]
            continue
        tier, offset = dense.block.effect_offset(part.atom)
        values = store[offset : offset + tier.units.units]
        members = tier.units.members  # cells of several variables share a tier
        t[part.places] = values[part.units if members is None else np.searchsorted(members, part.units)]
    return t


class ScriptedDraws:
    """Joint draws of a block with chosen normal numbers, through the uncompiled functions."""

    def __init__(self, running: Running, block: AffineBlock) -> None:
        self.running, self.block = running, block
        self.plan = running.planned.plan
        eliminate(self.plan, running.store, block.number, True, running.work)

    def draw(self, normals=()) -> Script:
        script, store, work = Script(normals), self.running.store, self.running.work
        compiled = substitution.draw_effects
        substitution.draw_effects = compiled.py_func
        try:
            assert substitution.draw_top.py_func(self.plan, store, self.block.number, script, work)
            substitution.draw_down.py_func(self.plan, store, self.block.number, script, work)
        finally:
            substitution.draw_effects = compiled
        return script


def dense_covariance_factor(running: Running, dense: Dense) -> np.ndarray:
    """M with draw = mean + M z, by setting one normal number after the other to 1."""
    draws = ScriptedDraws(running, dense.block)
    count = draws.draw().used
    mean = engine_vector(running.store, dense)
    columns = []
    for k in range(count):
        normals = np.zeros(count)
        normals[k] = 1.0
        draws.draw(normals)
        columns.append(engine_vector(running.store, dense) - mean)
    return np.array(columns).T
