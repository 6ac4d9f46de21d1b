"""Values of everything in a model graph, by meaning, and the graph's equations evaluated at them with numpy.

Nothing here knows of plans or stores.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mlbayes.data.functions import FUNCTIONS, OPERATORS
from mlbayes.model.expressions import (
    Centring,
    Constant,
    Expression,
    Form,
    Operation,
    ParameterReference,
    Reference,
)
from mlbayes.model.model import (
    Distribution,
    Equation,
    Kind,
    Model,
    PredictorModel,
    RandomEffects,
    Role,
    Variable,
)

Vector = NDArray[np.float64]
Key = tuple[int, int | None, int]  # equation, category of a nominal outcome, level
LARGEST = 1e7  # of a value or count that can be used, in units of 1


class Unusable(Exception):
    """What was drawn cannot be used as data."""


@dataclass
class World:
    """One value for everything that a model speaks of.

    `data`: variables and latent variables, shape (units of their level,).  `means`: latent cluster means by
    (name, level); `grand`, `responses`: by name; what belongs to a code of a nominal predictor has the name of its
    dummy variable, `n.2`.  `parameters`: free coefficients and variances.  `effects`, `matrices`: shape
    (terms, units) and (terms, terms), in the order of `RandomEffects.terms`.  `covariances`: by position of the
    block, in the order of its members.  `slopes`, `residuals`: by (predictor, part), of the chain if the joint normal
    model is in use.  `cuts`: by variable, the first threshold is 0.  `dispersions`: by equation.  `populations`:
    (centre, index) and `cluster_variances`, by equation.  `before`: values of a lagged variable before the first
    occasion, shape (clusters, longest lag), the latest last.
    """

    model: Model
    data: dict[str, Vector] = field(default_factory=dict)
    means: dict[tuple[str, int], Vector] = field(default_factory=dict)
    grand: dict[str, float] = field(default_factory=dict)
    responses: dict[str, Vector] = field(default_factory=dict)
    parameters: dict[str, float] = field(default_factory=dict)
    effects: dict[Key, Vector] = field(default_factory=dict)
    matrices: dict[Key, Vector] = field(default_factory=dict)
    covariances: dict[int, Vector] = field(default_factory=dict)
    slopes: dict[tuple[str, int], Vector] = field(default_factory=dict)
    residuals: dict[tuple[str, int], float] = field(default_factory=dict)
    cuts: dict[str, Vector] = field(default_factory=dict)
    dispersions: dict[int, float] = field(default_factory=dict)
    populations: dict[int, tuple[float, float]] = field(default_factory=dict)
    cluster_variances: dict[int, Vector] = field(default_factory=dict)
    before: dict[str, Vector] = field(default_factory=dict)

    # ------------------------------------------------------------------ units
    def units(self, level: int) -> int:
        """Number of units of a level."""
        return self.model.hierarchy.units[level - 1]

    def spread(self, values: Vector, level: int, own: int) -> Vector:
        """Values of units of level `own` for the units of a level below."""
        return values if own == level else values[self.model.hierarchy.ancestors(level, own)]

    # ------------------------------------------------------------------ expressions
    def evaluate(self, expression: Expression, level: int) -> Vector:
        """An expression over the units of a level."""
        match expression:
            case Constant():
                return np.full(self.units(level), expression.value)
            case ParameterReference():
                return np.full(self.units(level), self.coefficient(expression.name))
            case Reference():
                return self._reference(expression, level)
            case Operation():
                arguments = [self.evaluate(argument, level) for argument in expression.arguments]
                return apply(expression.operator, arguments)

    def _reference(self, reference: Reference, level: int) -> Vector:
        name = reference.variable
        if reference.form is Form.EFFECT:
            return self._named_effect(name, level)
        variable = self.model.variables[name]
        own = variable.level
        match reference.form:
            case Form.MEAN:
                values, own = self.means[name, reference.level], reference.level
            case Form.LAG:
                values = self.lag(name, reference.argument)
            case Form.RESPONSE:
                values = self.responses[name]
            case Form.DUMMY:
                values = (self.data[name] == reference.argument).astype(np.float64)
            case _:
                values = self.data[name]
        return self.spread(values - self._centre(reference, variable, own), level, own)

    def _centre(self, reference: Reference, variable: Variable, own: int) -> Vector | float:
        """What a reference is centred at, over the units of its level."""
        if reference.centring is Centring.NONE:
            return 0.0
        if predictor_model(self.model, variable.name) is None:
            dummy = reference.form is Form.DUMMY
            if reference.centring is Centring.GRAND:
                if dummy:
                    return self.model.observed_proportion(variable.name, reference.argument)
                return self.model.observed_mean(variable.name)
            parents = self.model.hierarchy.ancestors(variable.level, variable.level + 1)
            values = (variable.values == reference.argument).astype(np.float64) if dummy else variable.values
            sums = np.bincount(parents, values)
            return self.spread(sums / np.bincount(parents), own, variable.level + 1)
        if reference.centring is Centring.GRAND:
            return self.grand[variable.name]
        above = self.means[variable.name, own + 1]
        if variable.kind is Kind.ORDINAL and reference.form is Form.VALUE:
            above = self.expected_code(variable, above)
        return self.spread(above, own, own + 1)

    def expected_code(self, variable: Variable, mean: Vector) -> Vector:
        """Mean of the codes of an ordinal predictor whose latent response has these means and the variance 1."""
        labels = labels_of(variable)
        above = ndtr(mean[:, None] - self.cuts[variable.name])
        return np.asarray(labels[0] + above @ np.diff(labels))

    def _named_effect(self, name: str, level: int) -> Vector:
        """The random effect that RANDOMEFFECT names."""
        effect = next(e for e in self.model.named_effects if e.name == name)
        for key, group in random_groups(self.model):
            equation = self.model.equations[key[0]]
            if equation.outcome == effect.outcome and group.level == effect.level:
                if effect.label in group.labels:
                    return self.spread(
                        self.effects[key][group.labels.index(effect.label)], level, group.level
                    )
        raise AssertionError(f"no random effect {name}")

    def lag(self, name: str, k: int) -> Vector:
        """The value of a variable k occasions earlier, shape (rows,)."""
        source = self.model.hierarchy.earlier(k)
        values = self.data[name][np.maximum(source, 0)]
        before = self.before[name]
        place = before.shape[1] - k + occasions(self.model)
        first = before[clusters(self.model), np.minimum(place, before.shape[1] - 1)]
        return np.where(source >= 0, values, first)

    def coefficient(self, name: str) -> float:
        """The value of a parameter: fixed, defined by others, or free."""
        parameter = self.model.parameters.get(name)
        if parameter is None:
            quantity = next(q for q in self.model.generated if q.name == name)
            return float(self.evaluate(quantity.expression, self.model.hierarchy.levels)[0])
        if parameter.fixed is not None:
            return parameter.fixed
        if parameter.definition is not None:
            return float(self.evaluate(parameter.definition, self.model.hierarchy.levels)[0])
        return self.parameters[name]

    # ------------------------------------------------------------------ outcomes
    def fitted(self, k: int, category: int | None = None) -> Vector:
        """Linear predictor of an equation (of the logit of a category) with its random effects."""
        equation = self.model.equations[k]
        total = np.zeros(self.units(equation.level))
        columns = {}
        for t, term in enumerate(equation.terms):
            if term.category == category:
                columns[t] = self.evaluate(term.expression, equation.level)
                total += self.coefficient(term.coefficient) * columns[t]
        for group in equation.random:
            if group.terms[0] in columns:
                for effect, t in zip(self.effects[k, category, group.level], group.terms, strict=True):
                    total += self.spread(effect, equation.level, group.level) * columns[t]
        return total

    def modelled_variance(self, k: int) -> Vector | None:
        """Residual variance of every unit by an equation of its own (`var(y) ~ ...`), if it has one."""
        equation = self.model.equations[k]
        for v, other in enumerate(self.model.equations):
            if other.distribution is Distribution.LOG_VARIANCE and other.outcome == equation.outcome:
                if equation.distribution is Distribution.NORMAL:
                    return np.exp(self.fitted(v))
        return None

    def variance(self, k: int) -> Vector:
        """Residual variance of every unit of a normal equation that is in no block of `~~`."""
        equation = self.model.equations[k]
        if k in self.cluster_variances:
            return self.spread(self.cluster_variances[k], equation.level, 2)
        modelled = self.modelled_variance(k)
        if modelled is not None:
            return modelled
        assert equation.residual is not None
        variance = np.full(self.units(equation.level), self.coefficient(equation.residual))
        return variance / weights(self.model) if equation.level == 1 and self.model.weights else variance

    # ------------------------------------------------------------------ predictors
    def within(self, reference: Reference, level: int) -> Vector:
        """A predictor's part at a level: its deviation from the part above."""
        variable = self.model.variables[reference.variable]
        if variable.role is Role.FIXED:
            return self._reference(reference, level)
        name = variable.name if variable.kind is not Kind.NOMINAL else f"{variable.name}.{reference.argument}"
        own = self.response(name, variable) if variable.level == level else self.means[name, level]
        return own - self.above(name, variable.name, level)

    def response(self, name: str, variable: Variable) -> Vector:
        """What a predictor model explains: the value, or the latent response of a categorical variable."""
        return self.data[name] if variable.kind is Kind.CONTINUOUS else self.responses[name]

    def above(self, name: str, variable: str, level: int) -> Vector | float:
        """The part of a predictor above a level: its next cluster mean or its grand mean."""
        own = predictor_model(self.model, variable)
        assert own is not None
        higher = [part.level for part in own.parts if part.level > level]
        return self.spread(self.means[name, higher[0]], level, higher[0]) if higher else self.grand[name]

    def predictor_mean(self, name: str, own: PredictorModel, part: int) -> Vector | float:
        """Mean of one part of a predictor model."""
        level = own.parts[part].level
        mean = self.above(name, own.variable, level)
        used, _ = chain_predictors(self.model, own.variable, part)
        for slope, reference in zip(self.slopes[name, part], used, strict=True):
            mean = mean + slope * self.within(reference, level)
        return mean


# ------------------------------------------------------------------ the graph in other words
def apply(operator: str, x: list[Vector]) -> Vector:
    """An operator or function of the language on arrays."""
    with np.errstate(all="ignore"):
        if operator == "neg" or (operator == "-" and len(x) == 1):
            return -x[0]
        if operator in OPERATORS:
            return OPERATORS[operator](*x)
        if operator == "ifelse":
            return np.where(x[0] != 0.0, x[1], x[2])
        return FUNCTIONS[operator].compute(*x)


def predictor_model(model: Model, name: str) -> PredictorModel | None:
    """The predictor model of a variable."""
    return next((m for m in model.predictor_models if m.variable == name), None)


def predictor_chain(model: Model) -> list[PredictorModel]:
    """The predictor models in the order in which values can be drawn; an ordinal one comes last."""
    return sorted(model.predictor_models, key=lambda m: model.variables[m.variable].kind is Kind.ORDINAL)


def chain_predictors(model: Model, name: str, part: int) -> tuple[list[Reference], int]:
    """What a part of a predictor model is regressed on: those before it in the chain (so many), then FIXED ones."""
    own = predictor_model(model, name)
    assert own is not None
    used = own.parts[part].predictors
    order = [m.variable for m in predictor_chain(model)]
    earlier = [r for r in used if r.variable in order[: order.index(name)]]
    fixed = [r for r in used if model.variables[r.variable].role is Role.FIXED]
    return [*earlier, *fixed], len(earlier)


def response_names(model: Model, name: str) -> list[str]:
    """The responses of a predictor model: one, or one for each code of a nominal variable but the reference."""
    variable = model.variables[name]
    if variable.kind is not Kind.NOMINAL:
        return [name]
    return [f"{name}.{code}" for code in variable.codes if code != variable.reference]


def random_groups(model: Model) -> list[tuple[Key, RandomEffects]]:
    """All random effects of a model by their keys."""
    return [
        ((k, equation.terms[group.terms[0]].category, group.level), group)
        for k, equation in enumerate(model.equations)
        for group in equation.random
    ]


def categories(equation: Equation) -> list[int | None]:
    """Codes that an equation has logits for, or None alone."""
    return list(dict.fromkeys(term.category for term in equation.terms))


def labels_of(variable: Variable) -> Vector:
    """Codes of a categorical variable, the reference of a nominal one first."""
    codes = sorted(variable.codes)
    if variable.kind is Kind.NOMINAL and variable.reference in codes:
        codes = [variable.reference, *(code for code in codes if code != variable.reference)]
    return np.array(codes, dtype=np.float64)


def clusters(model: Model) -> NDArray[np.int64]:
    """The cluster of level 2 of each row; a single one without clusters."""
    if model.hierarchy.levels == 1:
        return np.zeros(model.hierarchy.units[0], dtype=np.int64)
    return model.hierarchy.parents[0]


def occasions(model: Model) -> NDArray[np.int64]:
    """The position of each row within its cluster, from 0."""
    own = clusters(model)
    starts = np.searchsorted(own, np.arange(own[-1] + 1))
    return np.arange(own.size) - starts[own]


def weights(model: Model) -> Vector:
    """Weights of rows, scaled to sum to the size of each cluster, then to the number of rows."""
    own = next(model.variables[name] for name in model.weights if model.variables[name].level == 1).values
    group = clusters(model)
    scaled = own * (np.bincount(group) / np.bincount(group, own))[group]
    return scaled * scaled.size / scaled.sum()


def block_of(model: Model, outcome: str) -> int | None:
    """The position of the block of `~~` that an outcome belongs to."""
    return next((i for i, block in enumerate(model.covariances) if outcome in block.members), None)


def has_parts(model: Model, block: int) -> bool:
    """Do variances and correlations of a block have priors of their own.

    So it is with OPTIONS: use_phantom, with fixed or equal elements, and with members whose residuals have the variance
    1: latent responses, and those that are divided by standard deviations with a model of their own.
    """
    own = model.covariances[block]
    names = [e.residual for e in model.equations if e.outcome in own.members and e.residual is not None]
    names += own.correlations.values()
    fixed = any(model.parameters[name].fixed is not None for name in names)
    one = any(
        e.outcome in own.members and e.distribution in (Distribution.PROBIT, Distribution.LOG_VARIANCE)
        for e in model.equations
    )
    return fixed or one or len(set(names)) < len(names) or "use_phantom" in model.settings.options
