"""The state of a chain as a World: the only place here that knows where the sampler keeps things."""

from __future__ import annotations

import numpy as np

from mlbayes.calibrate.world import Vector, World
from mlbayes.model.model import Kind, Model
from mlbayes.plan.choose import PlannedModel
from mlbayes.plan.polynomial import Atom


class Reader:
    """Reads the store of chains of one plan."""

    def __init__(self, planned: PlannedModel) -> None:
        self.planned = planned
        self.model = planned.model
        assert not any(r.recentring.change for r in planned.regressions.outcomes), "priors are proper"

    def vector(self, store: Vector, atom: Atom) -> Vector:
        """Values of a symbol over the units of its level."""
        symbols = self.planned.symbols
        if atom in symbols.static:
            return symbols.static[atom]
        offset = symbols.place[atom]
        return store[offset : offset + symbols.units(atom.level)].copy()

    def world(self, store: Vector) -> World:
        """What a store holds; outcomes that no equation needs are nan where they are missing."""
        world = World(self.model)
        for name, variable in self.model.variables.items():
            world.data[name] = variable.values
        for atom in self.planned.symbols.place:
            self._read(world, store, atom)
        for r in self.planned.regressions.outcomes:
            variable = self.model.variables[r.equation.outcome]
            if not r.active.all():
                world.data[variable.name] = np.where(variable.missing, np.nan, world.data[variable.name])
        self._outcomes(world, store)
        self._predictors(world, store)
        self._series(world, store)
        return world

    def _read(self, world: World, store: Vector, atom: Atom) -> None:
        """A symbol that has a meaning of its own."""
        name = name_of(self.model, atom)
        match atom.kind:
            case "value":
                world.data[atom.name] = self.vector(store, atom)
            case "mean":
                world.means[name, atom.level] = self.vector(store, atom)
            case "grand":
                world.grand[name] = float(self.vector(store, atom)[0])
            case "response":
                world.responses[name] = self.vector(store, atom)
            case "parameter":
                world.parameters[atom.name] = float(self.vector(store, atom)[0])

    def _outcomes(self, world: World, store: Vector) -> None:
        """Variances, matrices, random effects, thresholds and dispersions of all equations."""
        regressions = self.planned.regressions
        for r in regressions.outcomes:
            k, category, residual = r.planned.source, r.planned.category, r.equation.residual
            free = residual is not None and self.model.parameters[residual].fixed is None
            if free and not r.covariance and r.population < 0:
                world.parameters[str(residual)] = 1.0 / float(store[r.precision])
            if r.population >= 0:
                assert r.root is not None
                world.populations[k] = float(store[r.population]), float(store[r.population + 1])
                world.cluster_variances[k] = self.vector(store, r.root) ** -2.0
            if r.cuts >= 0:
                count = len(self.model.variables[r.equation.outcome].codes) - 1
                world.cuts[r.equation.outcome] = store[r.cuts : r.cuts + count].copy()
            if r.dispersion >= 0:
                world.dispersions[k] = float(store[r.dispersion])
            for group, place in zip(r.equation.random, r.factors, strict=True):
                factor = lower_triangle(store, place, len(group.terms))
                world.matrices[k, category, group.level] = (factor @ factor.T)[::-1, ::-1]
                effects = [self.vector(store, r.effect(group.level, t)) for t in group.terms]
                world.effects[k, category, group.level] = np.stack(effects)
        for b, c in enumerate(regressions.covariances):
            factor = lower_triangle(store, c.factor, len(c.members))
            world.covariances[b] = factor @ factor.T

    def _predictors(self, world: World, store: Vector) -> None:
        parts: dict[str, int] = {}
        for part in self.planned.regressions.predictors:
            number = parts.setdefault(part.name, 0)
            slopes = [float(self.vector(store, slope)[0]) for slope in part.slopes]
            world.slopes[part.name, number] = np.array(slopes)
            world.residuals[part.name, number] = 1.0 if part.fixed else 1.0 / float(store[part.precision])
            if part.cuts >= 0:
                count = len(self.model.variables[part.variable].codes) - 1
                world.cuts[part.variable] = store[part.cuts : part.cuts + count].copy()
            parts[part.name] += 1

    def _series(self, world: World, store: Vector) -> None:
        """Values before the first occasion."""
        symbols = self.planned.symbols
        for name in symbols.lag_orders:
            series = symbols.series(name)
            place = symbols.series_values(name)
            before = store[place + series.before]
            world.before[name] = before.reshape(-1, series.order)


def lower_triangle(store: Vector, place: int, n: int) -> Vector:
    """A Cholesky factor (n x n) from its packed form."""
    matrix = np.zeros((n, n))
    matrix[np.tril_indices(n)] = store[place : place + n * (n + 1) // 2]
    return matrix


def name_of(model: Model, atom: Atom) -> str:
    """What a World calls the variable of a symbol, or its dummy variable."""
    variable = model.variables.get(atom.name)
    return (
        f"{atom.name}.{atom.index}" if variable is not None and variable.kind is Kind.NOMINAL else atom.name
    )
