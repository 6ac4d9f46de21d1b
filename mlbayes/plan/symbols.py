"""The symbols of a model: where the value of each lies in the store, and expressions as polynomials in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.functions import FUNCTIONS, OPERATORS
from mlbayes.model.expressions import (
    Centring,
    Constant,
    Expression,
    Form,
    Operation,
    ParameterReference,
    Reference,
    leaves,
    level_of,
    references,
)
from mlbayes.model.model import Kind, Model, ParameterKind, Role
from mlbayes.plan.builder import PlanBuilder
from mlbayes.plan.categories import category_places
from mlbayes.plan.equations import planned_equations
from mlbayes.plan.functions import Function, is_runnable
from mlbayes.plan.lags import Series, lagged_names, make_series
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.problems import Problem, ProblemError, ProblemKind
from mlbayes.source import Span

if TYPE_CHECKING:
    from mlbayes.plan.products import ChangingRows

Vector = NDArray[np.float64]


def unsupported(message: str, hint: str = "") -> ProblemError:
    """The error of a construct that is read but cannot be run yet."""
    return ProblemError([Problem(message, None, hint, ProblemKind.UNSUPPORTED)])


@contextmanager
def placed(span: Span | None) -> Iterator[None]:
    """Give problems that are raised within, and have no place at all, the place of what they arose in."""
    try:
        yield
    except ProblemError as error:
        found = [p if p.span or p.place else replace(p, span=span) for p in error.problems]
        raise ProblemError(found) from None


@contextmanager
def steps_of(builder: PlanBuilder, label: str, span: Span | None) -> Iterator[None]:
    """Steps written within are for what `label` names and `span` shows, and so are problems that are raised."""
    builder.label, builder.span = label, span
    with placed(span):
        yield


class Symbols:
    """Every symbol with its place in the store; data are put there at once.

    `static` holds the values of symbols that never change: shape (units of its level,), or (1,) at the top.
    `functions`: the functions of parameters by their symbols, each after those in its arguments.  `changing_rows`:
    sums that blocks share, by level, rows that count and rows that change.
    """

    def __init__(self, model: Model, builder: PlanBuilder) -> None:
        self.model = model
        self.builder = builder
        self.place: dict[Atom, int] = {}
        self.static: dict[Atom, Vector] = {}
        self.derived: dict[Expression, Atom] = {}
        self.functions: dict[Atom, Function] = {}
        self.shared_rows: dict[tuple[int, bytes, bytes], ChangingRows] = {}
        self.modelled = {m.variable for m in model.predictor_models}
        self.equations = planned_equations(model)
        self.lag_orders = lagged_names(model)
        self._series: dict[str, Series] = {}
        self._series_values: dict[str, int] = {}

    # ------------------------------------------------------------------ places
    def units(self, level: int) -> int:
        """Number of units at a level; 1 at the top."""
        return 1 if level == TOP else self.model.hierarchy.units[level - 1]

    def is_dynamic(self, atom: Atom) -> bool:
        """Does its value change while sampling."""
        return atom not in self.static

    def offset(self, atom: Atom) -> int:
        """Place of a symbol in the store (room is made when it is first asked for)."""
        if atom not in self.place:
            values = self.static.get(atom)
            self.place[atom] = self.builder.vector(
                np.zeros(self.units(atom.level)) if values is None else values
            )
        return self.place[atom]

    def fixed_symbol(self, atom: Atom, values: Vector) -> Atom:
        """Register a symbol whose values never change."""
        self.static[atom] = np.asarray(values, dtype=np.float64)
        return atom

    # ------------------------------------------------------------------ symbols of variables
    def value(self, name: str) -> Atom:
        """The value of a variable; static when it is complete."""
        variable = self.model.variables[name]
        atom = Atom("value", name, variable.level)
        if atom not in self.place:
            if variable.role is Role.LATENT or variable.incomplete:
                mean = float(np.nanmean(variable.values)) if not variable.missing.all() else 0.0
                self.place[atom] = self.builder.vector(np.where(variable.missing, mean, variable.values))
            else:
                self.fixed_symbol(atom, variable.values)
                self.offset(atom)
        return atom

    def observed(self, name: str) -> Atom:
        """The observed part of an incomplete variable, 0 where missing."""
        variable = self.model.variables[name]
        atom = Atom("observed", name, variable.level)
        return self.fixed_symbol(atom, np.where(variable.missing, 0.0, variable.values))

    def series(self, name: str) -> Series:
        """The series of a lagged variable."""
        if name not in self._series:
            self._series[name] = make_series(self.model, name, self.lag_orders[name])
        return self._series[name]

    def series_values(self, name: str) -> int:
        """Offset of the values of a series; to begin with, unknown ones are means of their clusters."""
        if name not in self._series_values:
            series, variable = self.series(name), self.model.variables[name]
            values = np.zeros(series.places)
            values[series.rows] = np.where(variable.missing, 0.0, variable.values)
            values[series.before] = series.mean
            self._series_values[name] = self.builder.vector(values)
        return self._series_values[name]

    def lag(self, name: str, k: int) -> Atom:
        """The value of a variable k occasions earlier."""
        return Atom("lag", name, 1, k)

    def moving_rows(self, atom: Atom) -> NDArray[np.bool_]:
        """On which rows a changing symbol of rows changes."""
        if atom.kind in ("value", "code"):
            return self.model.variables[atom.name].missing
        if atom.kind == "lag":
            series = self.series(atom.name)
            return ~series.known[series.rows - atom.index]
        return np.ones(self.units(1), dtype=np.bool_)

    def known_rows(self, atom: Atom) -> Vector:
        """Values of a changing symbol of rows where they do not change, else 0."""
        values = np.zeros(self.units(1))
        if atom.kind == "code":
            values += self.model.variables[atom.name].values == atom.index
        elif atom.kind in ("value", "lag"):
            known = ~self.moving_rows(atom)
            source = np.arange(values.size)
            if atom.kind == "lag":
                source = source - atom.index
            values[known] = self.model.variables[atom.name].values[source[known]]
        return values

    def dummy(self, name: str, code: int) -> Atom:
        """The dummy variable of a nominal variable's code; static when the variable is complete."""
        variable = self.model.variables[name]
        atom = Atom("code", name, variable.level, code)
        values = (variable.values == code).astype(np.float64)
        if not variable.incomplete:
            return self.fixed_symbol(atom, values)
        if atom not in self.place:
            self.place[atom] = self.builder.vector(values)
        return atom

    def category(self, name: str) -> Atom:
        """The place of a nominal variable's category (0: reference); changes where missing ones are drawn."""
        variable = self.model.variables[name]
        atom = Atom("place", name, variable.level)
        if atom not in self.place:
            self.place[atom] = self.builder.vector(category_places(variable))
        return atom

    def response(self, name: str, code: int = 0) -> Atom:
        """The latent response of an ordinal variable, or of a nominal one's code."""
        return Atom("response", name, self.model.variables[name].level, code)

    def predictor_response(self, name: str, code: int = 0) -> Atom:
        """What a predictor model has on its left: the value, or the latent response of a categorical variable."""
        categorical = self.model.variables[name].kind in (Kind.ORDINAL, Kind.NOMINAL)
        return self.response(name, code) if categorical else self.value(name)

    def mean(self, name: str, level: int, code: int = 0) -> Atom:
        """The latent cluster mean of a variable at a level (of a nominal one: of the response of a code)."""
        return Atom("mean", name, level, code)

    def grand(self, name: str, code: int = 0) -> Atom:
        """The grand mean of a modelled predictor (for a categorical one on the scale of its latent response)."""
        return Atom("grand", name, TOP, code)

    def named_effect(self, name: str) -> Atom:
        """The random effect that RANDOMEFFECT names."""
        effect = next(e for e in self.model.named_effects if e.name == name)
        for number, equation in enumerate(planned.equation for planned in self.equations):
            for group in equation.random:
                if (equation.outcome, group.level) == (
                    effect.outcome,
                    effect.level,
                ) and effect.label in group.labels:
                    return Atom(
                        "effect", str(number), group.level, group.terms[group.labels.index(effect.label)]
                    )
        raise AssertionError(f"no effect {name}")

    def centre(self, name: str, code: int = 0) -> Atom:
        """What a grand-mean centred predictor is centred at: its grand mean, an ordinal one's expected code, or the
        probability of a code of a nominal one.
        """
        if self.model.variables[name].kind in (Kind.ORDINAL, Kind.NOMINAL):
            return Atom("share", name, TOP, code)
        return self.grand(name)

    def observed_centre(self, atom: Atom) -> float:
        """The observed mean over rows of a variable, or the observed proportion of a code."""
        if atom.kind != "code":
            return self.model.observed_mean(atom.name)
        return self.model.observed_proportion(atom.name, atom.index)

    # ------------------------------------------------------------------ expressions
    def polynomial(self, expression: Expression, mode: str = "exact") -> Polynomial:
        """An expression as a polynomial.

        `mode` says what becomes of centring at estimated means: "exact" subtracts them; "raw" leaves out the grand
        mean and "shifted" puts the observed one in its place (a change of parameters undoes both); "centred" has one
        symbol for the centred predictor.
        """
        match expression:
            case Constant():
                return Polynomial.number(expression.value)
            case Reference():
                return self._reference(expression, mode)
            case ParameterReference():
                return self.coefficient(expression.name)
            case Operation():
                return self._operation(expression, mode)

    def coefficient(self, name: str) -> Polynomial:
        """A parameter as a polynomial in free parameters and functions of them; constraints are put in."""
        parameter = self.model.parameters.get(name)
        if parameter is None:
            quantity = next((q for q in self.model.generated if q.name == name), None)
            if quantity is None:
                raise unsupported(f"'{name}' in MODEL or in a constraint cannot be run yet", "use labels")
            return self.polynomial(quantity.expression)
        if parameter.kind is not ParameterKind.COEFFICIENT:
            message = f"the {parameter.kind.value} '{name}' in MODEL or in a constraint cannot be run yet"
            raise unsupported(message, "labels of coefficients can")
        if parameter.fixed is not None:
            return Polynomial.number(parameter.fixed)
        if parameter.definition is not None:
            return self.polynomial(parameter.definition)
        return Polynomial.of(Atom("parameter", name, TOP))

    def _operation(self, expression: Operation, mode: str) -> Polynomial:
        if expression.operator in ("+", "-", "*", "neg", "^", "/"):
            parts = [self.polynomial(argument, mode) for argument in expression.arguments]
            result = self._algebra(expression.operator, parts)
            if result is not None:
                return result
        if expression.operator == "ifelse" and self._is_known(expression.arguments[0]):
            condition = Polynomial.of(
                self._derived(Operation("!=", (expression.arguments[0], Constant(0.0))))
            )
            first, second = (self.polynomial(argument, mode) for argument in expression.arguments[1:])
            return condition * first + (Polynomial.number(1.0) - condition) * second
        if any(isinstance(leaf, ParameterReference) for leaf in leaves(expression)):
            return Polynomial.of(self._function(expression))
        return Polynomial.of(self._derived(expression))

    def _is_known(self, expression: Expression) -> bool:
        """Is it a function of complete data alone."""
        return all(
            reference.form in (Form.VALUE, Form.DUMMY)
            and not self.model.variables[reference.variable].incomplete
            for reference in references(expression)
        ) and not any(isinstance(leaf, ParameterReference) for leaf in leaves(expression))

    def _function(self, expression: Operation) -> Atom:
        """A symbol for a function of parameters, and of complete data, that is not a polynomial."""
        if not is_runnable(expression.operator):
            raise unsupported(f"'{expression.operator}' of labels cannot be run in MODEL yet")
        arguments = tuple(self.polynomial(argument) for argument in expression.arguments)
        atoms = {atom for argument in arguments for atom in argument.atoms()}
        for atom in sorted(atoms):
            if atom.kind not in ("parameter", "function") and self.is_dynamic(atom):
                raise unsupported(
                    f"a function of labels and of '{atom.name}' that is neither sum, product nor power cannot be run"
                    " while the variable is incomplete, latent or centred at an estimated mean"
                )
        return self.function(expression.operator, arguments)

    def function(self, operator: str, arguments: tuple[Polynomial, ...]) -> Atom:
        """The symbol of a function of polynomials, the same one for the same function."""
        atoms = {atom for argument in arguments for atom in argument.atoms()}
        level = min((atom.level for atom in atoms), default=TOP)
        function = Function(operator, arguments, frozenset(self.parameters_in(atoms)))
        known = next((a for a, f in self.functions.items() if f == function and a.level == level), None)
        if known is None:
            known = Atom("function", str(len(self.functions)), level)
            self.functions[known] = function
            self.offset(known)
        return known

    def parameters_in(self, atoms: Iterable[Atom]) -> set[Atom]:
        """The parameters among symbols and in the functions among them."""
        found: set[Atom] = set()
        for atom in atoms:
            if atom.kind == "parameter":
                found.add(atom)
            elif atom.kind == "function":
                found |= self.functions[atom].parameters
        return found

    @staticmethod
    def _algebra(operator: str, parts: list[Polynomial]) -> Polynomial | None:
        """The result of an operation that stays among polynomials, else None."""
        if operator == "neg":
            return -parts[0]
        if operator == "+":
            return parts[0] + parts[1] if len(parts) == 2 else parts[0]
        if operator == "-":
            return parts[0] - parts[1] if len(parts) == 2 else -parts[0]
        if operator == "*":
            result = parts[0]
            for part in parts[1:]:
                result = result * part
            return result
        number = parts[1].constant()
        if operator == "/" and number:
            return parts[0] * Polynomial.number(1.0 / number)
        if operator == "^" and number is not None and number == int(number) and 0 <= number <= 8:
            result = Polynomial.number(1.0)
            for _ in range(int(number)):
                result = result * parts[0]
            return result
        return None

    def _reference(self, reference: Reference, mode: str) -> Polynomial:
        name = reference.variable
        if reference.form is Form.DUMMY:
            return self._centred(self.dummy(name, reference.argument), reference, mode)
        if reference.form is Form.VALUE:
            return self._centred(self.value(name), reference, mode)
        if reference.form is Form.LAG:
            if reference.centring is not Centring.NONE:
                raise unsupported(f"the centred lag of '{name}' cannot be run yet", "subtract a latent mean")
            return Polynomial.of(self.lag(name, reference.argument))
        if reference.form is Form.RESPONSE:
            return Polynomial.of(self.response(name))
        if reference.form is Form.EFFECT:
            return Polynomial.of(self.named_effect(name))
        if reference.form is Form.MEAN:
            return self._centred(self.mean(name, reference.level), reference, mode)
        raise unsupported(f"the {reference.form.value} of '{name}' cannot be run yet")

    def _centred(self, atom: Atom, reference: Reference, mode: str) -> Polynomial:
        """A value, dummy variable or mean with its centring."""
        value = Polynomial.of(atom)
        if reference.centring is Centring.NONE:
            return value
        name = atom.name
        if name not in self.modelled:
            if mode == "centred":
                return Polynomial.of(replace(atom, kind=f"centred fixed {atom.kind}"))
            if reference.centring is Centring.GRAND:
                return value - Polynomial.number(self.observed_centre(atom))
            return value - Polynomial.of(self._arithmetic_mean(atom))
        if mode == "centred":
            return Polynomial.of(replace(atom, kind=f"centred {atom.kind} {reference.centring.value}"))
        if reference.centring is Centring.GROUP:
            if atom.kind == "value" and self.model.variables[name].kind is Kind.ORDINAL:
                return value - Polynomial.of(Atom("share", name, atom.level + 1))
            return value - Polynomial.of(self.mean(name, atom.level + 1))
        if mode == "shifted":
            return value - Polynomial.number(self.observed_centre(atom))
        return value if mode == "raw" else value - Polynomial.of(self.centre(name, atom.index))

    def _arithmetic_mean(self, atom: Atom) -> Atom:
        """The observed cluster means of a fixed variable or dummy variable, at the level above its own."""
        above = atom.level + 1
        parents = self.model.hierarchy.ancestors(atom.level, above)
        size = self.units(above)
        sums = np.bincount(parents, self.static[atom], size) / np.bincount(parents, minlength=size)
        return self.fixed_symbol(Atom("observed mean", atom.name, above, atom.index), sums)

    def _derived(self, expression: Operation) -> Atom:
        """A symbol for a function of complete data that is not a polynomial."""
        if expression not in self.derived:
            level = level_of(expression, TOP)
            values = self.numbers(expression, level)
            atom = Atom("derived", str(len(self.derived)), level)
            self.derived[expression] = self.fixed_symbol(atom, values)
        return self.derived[expression]

    def numbers(self, expression: Expression, level: int) -> Vector:
        """The values of an expression of complete data, one for each unit of `level`."""
        for reference in references(expression):
            variable = self.model.variables[reference.variable]
            centred = reference.centring is not Centring.NONE and reference.variable in self.modelled
            if reference.form not in (Form.VALUE, Form.DUMMY) or variable.incomplete or centred:
                raise unsupported(
                    f"a function of '{reference.variable}' that is neither sum, product nor power cannot be run"
                    " while the variable is incomplete, latent or centred at an estimated mean",
                    "compute it with TRANSFORM if it only needs observed data",
                )
        return evaluate(self, expression, level)


def evaluate(symbols: Symbols, expression: Expression, level: int) -> Vector:
    """Numbers of an expression of complete data over the units of a level."""
    match expression:
        case Constant():
            return np.full(symbols.units(level), expression.value)
        case Reference():
            total = np.zeros(symbols.units(level))
            for monomial, number in symbols.polynomial(expression).terms.items():
                product = np.full(symbols.units(level), number)
                for atom in monomial:
                    product = (
                        product * symbols.static[atom][symbols.model.hierarchy.ancestors(level, atom.level)]
                    )
                total = total + product
            return total
        case Operation():
            return apply(expression.operator, [evaluate(symbols, a, level) for a in expression.arguments])
    raise AssertionError("functions of parameters are no data")


RUNNABLE = ("exp", "ln", "log", "sqrt", "abs", "min", "max", "phi")  # functions of MODEL; TRANSFORM has more


def apply(operator: str, x: list[Vector]) -> Vector:
    """An operator or function of the language on arrays."""
    with np.errstate(all="ignore"):
        if operator in OPERATORS:
            result = OPERATORS[operator](*x)
        elif operator in RUNNABLE:
            result = FUNCTIONS[operator].compute(*x)
        elif operator == "neg":
            result = -x[0]
        elif operator == "ifelse":
            result = np.where(x[0] != 0.0, x[1], x[2])
        else:
            raise unsupported(
                f"the function '{operator}' cannot be run in MODEL yet", "compute it with TRANSFORM"
            )
    wrong = int(np.count_nonzero(~np.isfinite(result)))
    if wrong:
        raise unsupported(
            f"'{operator}' is not a finite number in {wrong} of {np.size(result)} places",
            "choose other values there: compute it in TRANSFORM with ifelse() or missing()",
        )
    return np.asarray(result, dtype=np.float64)
