"""The tree printer leaves out what says nothing."""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from mlbayes.show import show
from mlbayes.source import Span


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Leaf:
    name: str
    span: Span = Span(0, 0)
    weight: float = 1.0


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    colour: Colour = Colour.RED
    values: np.ndarray = field(default_factory=lambda: np.zeros(3))
    options: frozenset[str] = frozenset()
    table: dict[str, Leaf] = field(default_factory=dict)


def test_small_values_stand_on_one_line():
    assert show(Leaf("a", Span(3, 4), 2.0)) == "Leaf(name='a', weight=2.0)"


def test_large_values_are_indented():
    tree = Tree(tuple(Leaf("leaf number " * 3 + str(i)) for i in range(3)), table={"a": Leaf("a")})
    assert show(tree).splitlines() == [
        "Tree",
        "  leaves:",
        "    Leaf(name='leaf number leaf number leaf number 0')",
        "    Leaf(name='leaf number leaf number leaf number 1')",
        "    Leaf(name='leaf number leaf number leaf number 2')",
        "  values: float64[3]",
        "  table: {a: Leaf(name='a')}",
    ]
