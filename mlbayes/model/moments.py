"""The linear part of a model as a path diagram, and which of its parameters means and covariances determine.

Given the predictors, the observed variables of a linear model are normal, so data can tell two sets of parameters
apart only if these imply different means and covariances for some values of the predictors.  Whether any
parameters can be moved without a trace is the rank of a matrix of derivatives (Bekker, Merckens & Wansbeek 1994,
Identification, Equivalent Models, and Computer Algebra).  The rank is the same at almost all values of the
parameters, so one place, chosen at random, decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.expressions import (
    Constant,
    Expression,
    Form,
    Operation,
    ParameterReference,
    Reference,
    factors,
    leaves,
    level_of,
    references,
)
from mlbayes.model.model import Distribution, Equation, EquationTerm, Family, Model, Parameter, Role

Array = NDArray[np.float64]

LARGEST = 3e9  # multiplications that a check may cost
TOLERANCE = 1e-9  # singular values below this share of the largest count as 0
VISIBLE = 1e-6  # shares of a direction below this count as 0
UNIT_RESIDUAL = (Distribution.PROBIT, Distribution.LOGIT)  # their latent responses have a known variance


# ------------------------------------------------------------------ the diagram
@dataclass(frozen=True)
class Arrow:
    """coefficient * factor * source; without a source it belongs to the mean.  `factor`: of predictors alone."""

    coefficient: str
    factor: Expression
    source: str | None = None


@dataclass
class Node:
    """An outcome, a latent variable or a random effect.  `variance`: its parameter, None when it is 1."""

    name: str
    level: int
    observed: bool
    variance: str | None = None
    arrows: list[Arrow] = field(default_factory=list)


@dataclass
class Diagram:
    """Nodes by name, correlations {(node, node): parameter}, parameters {name: known value or None}.

    `opaque`: nodes that are not linear; nothing is said of what is connected with them.  `words`: what a
    parameter is, for messages.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    correlations: dict[tuple[str, str], str] = field(default_factory=dict)
    parameters: dict[str, float | None] = field(default_factory=dict)
    opaque: set[str] = field(default_factory=set)
    words: dict[str, str] = field(default_factory=dict)

    def components(self) -> Iterator[list[str]]:
        """The linear parts that have nothing to do with each other, as sorted lists of nodes."""
        links: dict[str, set[str]] = {name: set() for name in self.nodes}
        pairs = [(n.name, a.source) for n in self.nodes.values() for a in n.arrows if a.source is not None]
        owner: dict[str, str] = {}
        for node in self.nodes.values():  # equal parameters connect as well
            names = [arrow.coefficient for arrow in node.arrows] + ([node.variance] if node.variance else [])
            pairs += [
                (node.name, owner.setdefault(p, node.name)) for p in names if self.parameters[p] is None
            ]
        for one, other in [*pairs, *self.correlations]:
            links[one].add(other)
            links[other].add(one)
        rest = dict.fromkeys(self.nodes)
        while rest:
            waiting, found = [next(iter(rest))], set()
            while waiting:
                name = waiting.pop()
                found.add(name)
                waiting += links[name] - found
            for name in found:
                del rest[name]
            if not found & self.opaque:
                yield [name for name in self.nodes if name in found]


def tied_parameters(model: Model) -> set[str]:
    """Parameters that are functions of others, or of which others, or terms of the model, are functions."""
    terms = (term.expression for equation in model.equations for term in equation.terms)
    tied = {e.name for term in terms for e in leaves(term) if isinstance(e, ParameterReference)}
    for parameter in model.parameters.values():
        if parameter.definition is not None:
            tied.add(parameter.name)
            tied |= {e.name for e in leaves(parameter.definition) if isinstance(e, ParameterReference)}
    return tied


def has_own_information(parameter: Parameter) -> bool:
    """Did the user say something about its value: a number, or a prior that is not flat."""
    proper = parameter.prior.stated and parameter.prior.family is not Family.TRUNCATED
    return parameter.fixed is not None or proper


def draw_diagram(model: Model) -> Diagram:
    """The diagram of all equations; those that are not linear in outcomes and latent variables are opaque."""
    diagram = Diagram()
    tied = tied_parameters(model)
    for parameter in model.parameters.values():
        known = parameter.fixed
        if known is None and has_own_information(parameter):
            known = parameter.prior.arguments[0] or 0.5  # any value: it is as good as known
        diagram.parameters[parameter.name] = known
    stochastic = {e.outcome: e for e in model.equations}
    for equation in model.equations:
        name = equation.outcome
        if name not in diagram.nodes and _is_plain(equation):
            _add_node(diagram, equation, model, stochastic)
        else:
            diagram.nodes.setdefault(name, Node(name, equation.level, True))
            _hide(diagram, equation, equation.terms, stochastic)
        if any(term.coefficient in tied for term in equation.terms) or equation.residual in tied:
            diagram.opaque.add(name)
    for block in model.covariances:
        for j, second in enumerate(block.members):
            for i, first in enumerate(block.members[:j]):
                parameter_name = block.correlations.get((i, j), f"Cor({first},{second})")
                diagram.parameters.setdefault(parameter_name, None)
                diagram.words.setdefault(parameter_name, f"the covariance of '{first}' and '{second}'")
                diagram.correlations[first, second] = parameter_name
    return diagram


def _is_plain(equation: Equation) -> bool:
    known = equation.distribution in (Distribution.NORMAL, *UNIT_RESIDUAL)
    return known and isinstance(equation.left, Reference) and equation.left.form is Form.VALUE


def _hide(
    diagram: Diagram, equation: Equation, terms: Iterable[EquationTerm], stochastic: Iterable[str]
) -> None:
    """Say nothing of an equation, nor of the variables in some of its terms."""
    diagram.opaque.add(equation.outcome)
    for term in terms:
        diagram.opaque |= {reference.variable for reference in _sources(term.expression, stochastic)}


def _add_node(diagram: Diagram, equation: Equation, model: Model, stochastic: dict[str, Equation]) -> None:
    name = equation.outcome
    latent = model.variables[name].role is Role.LATENT
    node = diagram.nodes[name] = Node(name, equation.level, not latent, equation.residual)
    if equation.residual is not None:
        kind = (
            "variance"
            if latent and not any(_sources(t.expression, stochastic) for t in equation.terms)
            else ""
        )
        diagram.words.setdefault(equation.residual, f"the {kind or 'residual variance'} of '{name}'")
    for term in equation.terms:
        arrow = _arrow(term.coefficient, term.expression, stochastic)
        if arrow is None:
            _hide(diagram, equation, [term], stochastic)
            continue
        node.arrows.append(arrow)
        what = "the intercept" if arrow.source is None and arrow.factor == Constant(1.0) else ""
        what = what or (f"the coefficient of '{term.label}' in the equation")
        diagram.words.setdefault(term.coefficient, f"{what} of '{equation.title}'")
    for random in equation.random:
        effects: list[str] = []
        for position, label in zip(random.terms, random.labels, strict=True):
            arrow = _arrow("1", equation.terms[position].expression, stochastic)
            if arrow is None or arrow.source is not None:
                _hide(diagram, equation, [equation.terms[position]], stochastic)
                continue
            effect = f"{name} {label} {random.level}"
            variance = random.variance if random.variance is not None else f"Var({effect})"
            diagram.parameters.setdefault(variance, None)
            what = "intercepts" if arrow.factor == Constant(1.0) else f"slopes of '{label}'"
            diagram.words.setdefault(variance, f"the variance of random {what} in the equation of '{name}'")
            diagram.nodes[effect] = Node(effect, random.level, False, variance)
            node.arrows.append(Arrow("1", arrow.factor, effect))
            for other in effects:
                correlation = f"Cor({other},{effect})"
                diagram.parameters[correlation] = None
                diagram.words[correlation] = f"a covariance of random effects in the equation of '{name}'"
                diagram.correlations[other, effect] = correlation
            effects.append(effect)
    diagram.parameters.setdefault("1", 1.0)


def _sources(expression: Expression, stochastic: Iterable[str]) -> list[Reference]:
    return [r for r in references(expression) if r.variable in stochastic]


def _arrow(coefficient: str, expression: Expression, stochastic: dict[str, Equation]) -> Arrow | None:
    """A term as an arrow; None if it is not an outcome or latent variable times something known."""
    if any(isinstance(e, ParameterReference) for e in leaves(expression)):
        return None
    if any(r.form in (Form.EFFECT, Form.LAG) for r in references(expression)):
        return None
    sources: list[Expression] = []
    known: list[Expression] = []
    for factor in factors(expression):
        (sources if _sources(factor, stochastic) else known).append(factor)
    rest: Expression = known[0] if len(known) == 1 else Operation("*", tuple(known))
    if not known:
        rest = Constant(1.0)
    if not sources:
        return Arrow(coefficient, rest)
    (source,) = sources if len(sources) == 1 else (None,)
    if not isinstance(source, Reference):
        return None
    normal = stochastic[source.variable].distribution is Distribution.NORMAL
    plain = source.form is Form.RESPONSE or (source.form is Form.VALUE and normal)
    return Arrow(coefficient, rest, source.variable) if plain and source.centring.value == "none" else None


# ------------------------------------------------------------------ derivatives
@dataclass(frozen=True)
class Moments:
    """What the means and covariances of some variables tell about their parameters.

    `free`: names of the free parameters.  `undetermined`: those of them that can be moved together without
    changing any mean or covariance, one set for each such direction that is found, smallest sets first.
    `number`: count of distinct means and covariances, when no predictor is involved, else None.
    """

    free: tuple[str, ...]
    undetermined: tuple[tuple[str, ...], ...]
    number: int | None


def moments(diagram: Diagram, names: Sequence[str]) -> Moments | None:
    """Which parameters of a component the moments determine; None if the component is too large to tell.

    A few clusters are made up, with predictors drawn at random, two units of each level in a unit of the next
    one, and enough clusters to tell all predictors apart.
    """
    nodes = [diagram.nodes[name] for name in names]
    free = _free_parameters(diagram, nodes)
    columns = {a.factor for node in nodes for a in node.arrows if not isinstance(a.factor, Constant)}
    slopes = {a.factor for n in nodes for a in n.arrows if a.source and not isinstance(a.factor, Constant)}
    top = max(node.level for node in nodes)
    lowest = min(node.level for node in nodes)
    clusters = (
        len(columns) + 2 + len(slopes) * (len(slopes) + 1)
    )  # covariances are quadratic in slopes' factors
    observed = sum(2 ** (top - node.level) for node in nodes if node.observed)
    full = observed * (observed + 1) // 2
    rows = clusters * observed + (clusters if slopes else 1) * full
    if not free or rows * len(free) ** 2 > LARGEST:
        return None
    rng = np.random.default_rng(1)
    values = {n: v if v is not None else _somewhere(n, diagram, rng) for n, v in sorted_items(diagram, nodes)}
    parts = []
    for cluster in range(clusters):
        made = _Cluster(diagram, nodes, values, free, (lowest, top), rng)
        parts.append(made.mean_derivatives())
        if cluster == 0 or slopes:
            parts.append(made.covariance_derivatives())
    jacobian = np.concatenate(parts)
    scale = np.linalg.norm(jacobian, axis=0)
    number = observed + full if not columns and top == lowest else None
    return Moments(tuple(free), tuple(_undetermined(jacobian, scale, free)), number)


def sorted_items(diagram: Diagram, nodes: Sequence[Node]) -> list[tuple[str, float | None]]:
    """The parameters of some nodes with their known values, in a fixed order."""
    inside = {node.name for node in nodes}
    names = [a.coefficient for node in nodes for a in node.arrows]
    names += [node.variance for node in nodes if node.variance is not None]
    names += [p for pair, p in diagram.correlations.items() if inside.issuperset(pair)]
    return [(name, diagram.parameters[name]) for name in dict.fromkeys(names)]


def _free_parameters(diagram: Diagram, nodes: Sequence[Node]) -> list[str]:
    return [name for name, known in sorted_items(diagram, nodes) if known is None]


def _somewhere(name: str, diagram: Diagram, rng: np.random.Generator) -> float:
    """A value for a free parameter: of moderate size, correlations small."""
    if name in diagram.correlations.values():
        return float(rng.uniform(0.05, 0.2))
    return float(rng.uniform(0.5, 1.5))


def _undetermined(jacobian: Array, scale: Array, free: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The smallest sets of parameters that can be moved without a trace."""
    silent = [name for name, size in zip(free, scale, strict=True) if size == 0]
    for name in silent:
        yield (name,)
    loud = np.flatnonzero(scale > 0)
    if not len(loud):
        return
    triangle = np.linalg.qr(jacobian[:, loud] / scale[loud], mode="r")
    _, singular, right = np.linalg.svd(triangle)
    sizes = np.zeros(len(loud))
    sizes[: len(singular)] = singular
    directions = right[sizes < TOLERANCE * singular[0]]
    found: list[Array] = []
    while len(directions):  # echelon form: each direction without the leading parameter of those before it
        column = int(np.argmax(np.abs(directions).max(axis=0)))
        row = int(np.argmax(np.abs(directions[:, column])))
        pivot = directions[row] / directions[row, column]
        found = [f - f[column] * pivot for f in found]
        directions = np.delete(directions - np.outer(directions[:, column], pivot), row, axis=0)
        found.append(pivot)
    sets = [tuple(free[loud[i]] for i in np.flatnonzero(np.abs(f) > VISIBLE)) for f in found]
    yield from sorted(sets, key=len)


class _Cluster:
    """A made-up unit of the top level with all that is in it, and the derivatives of its moments.

    With residuals e of variance Psi and y = B y + a + e, the mean is T a and the covariance T Psi T' with
    T = (I - B)^-1; an element of B moves them by T_i (mean)_j and T_i (covariance)_j' + its transpose.
    """

    def __init__(
        self,
        diagram: Diagram,
        nodes: Sequence[Node],
        values: dict[str, float],
        free: Sequence[str],
        levels: tuple[int, int],
        rng: np.random.Generator,
    ) -> None:
        self.diagram, self.nodes, self.values, self.levels = diagram, nodes, values, levels
        self.place = {name: i for i, name in enumerate(free)}
        self.units = [(node, unit) for node in nodes for unit in range(2 ** (levels[1] - node.level))]
        self.index = {(node.name, unit): i for i, (node, unit) in enumerate(self.units)}
        self.observed = np.array([i for i, (node, _) in enumerate(self.units) if node.observed], int)
        self.drawn: dict[tuple[Expression, int], float] = {}
        self.rng = rng
        n = len(self.units)
        self.paths, self.constant, self.psi = np.zeros((n, n)), np.zeros(n), np.zeros((n, n))
        self.arrows: list[tuple[str, int, int | None, float]] = []
        self._fill()
        self.total = np.linalg.inv(np.eye(n) - self.paths)
        self.mean = self.total @ self.constant
        self.covariance = self.total @ self.psi @ self.total.T

    def _factor(self, factor: Expression, level: int, unit: int) -> float:
        """The value of a predictor for a unit of a level, drawn when first asked for."""
        if isinstance(factor, Constant):
            return factor.value
        own = min(max(level_of(factor), level), self.levels[1])
        key = factor, unit // 2 ** (own - level)
        if key not in self.drawn:
            self.drawn[key] = float(self.rng.normal())
        return self.drawn[key]

    def _fill(self) -> None:
        for i, (node, unit) in enumerate(self.units):
            self.psi[i, i] = 1.0 if node.variance is None else self.values[node.variance]
            for arrow in node.arrows:
                factor = self._factor(arrow.factor, node.level, unit)
                value = self.values[arrow.coefficient] * factor
                j = None
                if arrow.source is None:
                    self.constant[i] += value
                else:
                    source = self.diagram.nodes[arrow.source]
                    j = self.index[source.name, unit // 2 ** (source.level - node.level)]
                    self.paths[i, j] += value
                self.arrows.append((arrow.coefficient, i, j, factor))
        for (one, other), name in self.diagram.correlations.items():
            for i, j in self._pairs(one, other):
                sd = np.sqrt(self.psi[i, i] * self.psi[j, j])
                self.psi[i, j] = self.psi[j, i] = self.values[name] * sd

    def _pairs(self, one: str, other: str) -> Iterator[tuple[int, int]]:
        """Positions of two variables in each unit; none where they are not among these variables."""
        for i, (node, unit) in enumerate(self.units):
            if node.name == one and (other, unit) in self.index:
                yield i, self.index[other, unit]

    def mean_derivatives(self) -> Array:
        """Derivatives of the means of observed variables, shape (observed, free)."""
        seen = self.total[self.observed]
        result = np.zeros((len(self.observed), len(self.place)))
        for name, i, j, factor in self.arrows:
            if name in self.place:
                result[:, self.place[name]] += seen[:, i] * factor * (1.0 if j is None else self.mean[j])
        return result

    def covariance_derivatives(self) -> Array:
        """Derivatives of variances and covariances of observed variables, shape (pairs, free)."""
        seen, covariance = self.total[self.observed], self.covariance[self.observed]
        changes = np.zeros((len(self.place), len(self.observed), len(self.observed)))
        for name, i, j, factor in self.arrows:
            if name in self.place and j is not None:
                changes[self.place[name]] += factor * np.outer(seen[:, i], covariance[:, j])
        for name, change in self._residual_changes():
            changes[self.place[name]] += 0.5 * seen @ change @ seen.T
        changes = changes + changes.transpose(0, 2, 1)
        rows, columns = np.tril_indices(len(self.observed))
        return np.ascontiguousarray(changes[:, rows, columns].T)

    def _residual_changes(self) -> Iterator[tuple[str, Array]]:
        """How residual variances and covariances change with variances and correlations."""
        n = len(self.units)
        for i, (node, _) in enumerate(self.units):
            if node.variance in self.place:
                change = np.zeros((n, n))
                change[i] = change[:, i] = self.psi[i] / (2 * self.psi[i, i])
                change[i, i] = 1.0
                yield str(node.variance), change
        for (one, other), name in self.diagram.correlations.items():
            if name in self.place:
                for i, j in self._pairs(one, other):
                    change = np.zeros((n, n))
                    change[i, j] = change[j, i] = np.sqrt(self.psi[i, i] * self.psi[j, j])
                    yield name, change
