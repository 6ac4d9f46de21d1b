"""Pools from which a plan is made: the store, the index lists and the tables; dtypes are fixed here only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from mlbayes.plan import plan as p
from mlbayes.plan.plan import Plan
from mlbayes.source import Span

Vector = NDArray[np.float64]
Indices = NDArray[np.int64]

# Steps that change no vector of rows other than by instructions of the program.
KEEP_ROWS = {
    p.STEP_PROGRAM,
    p.STEP_PRODUCTS,
    p.STEP_FILLS,
    p.STEP_DRAW,
    p.STEP_COLLAPSED,
    p.STEP_CONJUGATE,
    p.STEP_INTERWEAVE,
    p.STEP_VARIANCE,
    p.STEP_WISHART,
    p.STEP_SEPARATE,
    p.STEP_NEWTON,
    p.STEP_SELECTION,
    p.STEP_MODULATOR,
    p.STEP_CELLS,  # its own copy, which the program puts back
}


class UnitSet:
    """A set of units of one level: all of them or those in `members`, with the unit set above them.

    `parents`: for each unit its place in the set above (non-decreasing).  `number`: its row in the plan.
    """

    def __init__(
        self, number: int, level: int, units: int, members: Indices | None, gather: int, parents: Indices
    ) -> None:
        self.number = number
        self.level = level
        self.units = units
        self.members = members
        self.gather = gather
        self.parents = parents


class PlanBuilder:
    """Collects the parts of a plan."""

    def __init__(self) -> None:
        self._store: list[Vector] = []
        self._size = 0
        self._index: list[Indices] = []
        self._index_size = 0
        self._scalars: dict[float, int] = {}
        self.tables: dict[str, list[Sequence[int]]] = {
            name: [] for name in Plan._fields if name not in ("index", "record")
        }
        self.clock = 0  # counts what changes vectors, in the order of a sweep
        self._written: dict[int, int] = {}
        self._all_written = 0
        self.record = (0, 0)
        self.label = ""  # what the steps being written are for
        self.span: Span | None = None  # ... and where in the script it stands
        self.step_labels: list[str] = []
        self.step_spans: list[Span | None] = []
        self.zero = self.scalar(0.0)
        self.one = self.scalar(1.0)

    # ------------------------------------------------------------------ pools
    def vector(self, values: Vector | Sequence[float]) -> int:
        """Put numbers into the store; returns their offset."""
        array = np.array(values, dtype=np.float64, copy=True).ravel()
        self._store.append(array)
        offset = self._size
        self._size += array.size
        return offset

    def zeros(self, n: int) -> int:
        """Room for n numbers in the store."""
        return self.vector(np.zeros(n))

    def preset(self, offset: int, value: float) -> None:
        """Change a number that was put into the store."""
        for array in self._store:
            if offset < array.size:
                array[offset] = value
                return
            offset -= array.size

    def scalar(self, value: float) -> int:
        """Offset of a constant; the same number is stored once."""
        if value not in self._scalars:
            self._scalars[value] = self.vector([value])
        return self._scalars[value]

    def indices(self, values: Sequence[int] | Indices) -> int:
        """Put integers into the index pool; returns their offset."""
        array = np.array(values, dtype=np.int64).ravel()
        self._index.append(array)
        offset = self._index_size
        self._index_size += array.size
        return offset

    # ------------------------------------------------------------------ tables
    def add(self, table: str, row: Sequence[int]) -> int:
        """Append a row to a table; returns its number."""
        rows = self.tables[table]
        rows.append([int(x) for x in row])
        return len(rows) - 1

    def count(self, table: str) -> int:
        """Rows of a table so far."""
        return len(self.tables[table])

    def unit_set(
        self,
        level: int,
        units: int,
        above: UnitSet | None,
        parents: Indices | None,
        members: Indices | None = None,
    ) -> UnitSet:
        """Add a set of units; `parents` gives for each unit its place in the set above (all 0 for none)."""
        if parents is None:
            parents = np.zeros(units, dtype=np.int64)
        size = above.units if above is not None else 1
        gather = self.indices(parents)
        starts = self.indices(np.searchsorted(parents, np.arange(size + 1)))
        number = self.add("sets", [units, -1 if above is None else above.number, gather, starts])
        return UnitSet(number, level, units, members, gather, parents)

    def instruct(self, code: int, target: int, n: int, a: int = 0, b: int = 0, c: int = 0) -> None:
        """Append an instruction to the vector program."""
        self.add("program", [code, target, n, a, b, c])
        self._write(a if code == p.OP_SCATTER else target)

    def _write(self, offset: int) -> None:
        self.clock += 1
        self._written[offset] = self.clock

    def written(self, offset: int) -> int:
        """The clock when the vector at an offset was last changed in a sweep as planned so far."""
        return max(self._written.get(offset, 0), self._all_written)

    def step(self, code: int, *arguments: int) -> None:
        """Append a step to the sweep."""
        row = [code, *arguments]
        self.step_labels.append(self.label)
        self.step_spans.append(self.span)
        self.add("steps", row + [0] * (p.STEP_FIELDS - len(row)))
        if code == p.STEP_RESPONSES:
            response = self.tables["responses"][arguments[0]]
            for place in (p.RESPONSE_VALUE, p.RESPONSE_ROOT, p.RESPONSE_NUMBER):
                self._write(response[place])
        elif code not in KEEP_ROWS:  # whatever it may have changed
            self.clock += 1
            self._all_written = self.clock

    def step_program(self, first: int) -> None:
        """Append a step that runs the instructions added since `first`, if there are any."""
        if self.count("program") > first:
            self.step(p.STEP_PROGRAM, first, self.count("program"))

    @contextmanager
    def program(self) -> Iterator[None]:
        """A step that runs the instructions added meanwhile, if there are any."""
        first = self.count("program")
        yield
        self.step_program(first)

    def finish(self) -> tuple[Plan, Vector]:
        """The plan and the first state of its store."""
        fields = {
            "sets": p.SET_FIELDS,
            "blocks": p.BLOCK_FIELDS,
            "tiers": p.TIER_FIELDS,
            "maps": p.MAP_FIELDS,
            "mixes": p.MIX_FIELDS,
            "tops": p.TOP_FIELDS,
            "fills": p.FILL_FIELDS,
            "products": p.PRODUCT_FIELDS,
            "program": p.PROGRAM_FIELDS,
            "groups": p.GROUP_FIELDS,
            "variances": p.VARIANCE_FIELDS,
            "covariances": p.COVARIANCE_FIELDS,
            "thetas": p.THETA_FIELDS,
            "collapsed": p.COLLAPSED_FIELDS,
            "responses": p.RESPONSE_FIELDS,
            "nominals": p.NOMINAL_FIELDS,
            "newtons": p.NEWTON_FIELDS,
            "selections": p.SELECTION_FIELDS,
            "scales": p.SCALE_FIELDS,
            "scale_items": p.ITEM_FIELDS,
            "series": p.SERIES_FIELDS,
            "series_equations": p.SERIES_EQUATION_FIELDS,
            "modulators": p.MODULATOR_FIELDS,
            "modulated": p.MODULATED_FIELDS,
            "modulated_pairs": p.PAIR_FIELDS,
            "cluster_variances": p.CLUSTER_FIELDS,
            "cells": p.CELL_FIELDS,
            "cell_equations": p.CELL_EQUATION_FIELDS,
            "parameters": p.PARAMETER_FIELDS,
            "companions": p.COMPANION_FIELDS,
            "quadratics": p.QUADRATIC_FIELDS,
            "explains": p.EXPLAIN_FIELDS,
            "steps": p.STEP_FIELDS,
        }
        tables = {
            name: np.array(self.tables[name], dtype=np.int64).reshape(-1, width)
            for name, width in fields.items()
        }
        index = np.concatenate(self._index) if self._index else np.zeros(0, np.int64)
        record = np.array([self.record], dtype=np.int64)
        return Plan(index=index, record=record, **tables), np.concatenate(self._store)
