"""Starting values: random for every chain, but within reach of the data."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.model.model import Kind, Role
from mlbayes.plan import plan as p
from mlbayes.plan.choose import PlannedModel
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.regressions import OutcomeRegression, ResidualCovariance
from mlbayes.problems import Problem, ProblemError, ProblemKind

Vector = NDArray[np.float64]

TRIES = 200  # of starting values of parameters inside functions


def start_state(planned: PlannedModel, rng: Generator) -> Vector:
    """The store of a chain before its first sweep."""
    store = planned.store.copy()
    for atom, offset in planned.symbols.place.items():
        if atom.kind == "value" and planned.symbols.is_dynamic(atom):
            _start_value(planned, store, atom, offset, rng)
    for r in planned.regressions.outcomes:
        _start_transformed(planned, store, r)
    for row in planned.plan.responses:
        _start_responses(planned.plan.index, store, row)
    for row in planned.plan.nominals:
        _start_categories(planned.plan.index, store, row)
    _start_predictors(planned, store, rng)
    _start_outcomes(planned, store, rng)
    _start_parameters(planned, store, rng)
    return store


def _start_responses(index: NDArray[np.int64], store: Vector, row: NDArray[np.int64]) -> None:
    """Codes of missing categories from their numbers; responses in the middle between their thresholds."""
    units, categories, cut = row[p.RESPONSE_UNITS], row[p.RESPONSE_CATEGORIES], row[p.RESPONSE_CUTS]
    codes = store[row[p.RESPONSE_CODE] : row[p.RESPONSE_CODE] + units]
    cells = index[row[p.RESPONSE_CELLS] : row[p.RESPONSE_CELLS] + row[p.RESPONSE_CELL_COUNT]]
    if cells.size:
        labels = store[row[p.RESPONSE_LABELS] : row[p.RESPONSE_LABELS] + categories]
        numbers = store[row[p.RESPONSE_NUMBER] : row[p.RESPONSE_NUMBER] + units][cells]
        codes[cells] = np.abs(numbers[:, None] - labels).argmin(axis=1)
    responses = store[row[p.RESPONSE_VALUE] : row[p.RESPONSE_VALUE] + units]
    if row[p.RESPONSE_KIND] in (p.RESPONSE_NORMAL, p.RESPONSE_LOGISTIC):
        cuts = store[cut : cut + categories - 1]
        middles = np.concatenate([[cuts[0] - 0.6], 0.5 * (cuts[1:] + cuts[:-1]), [cuts[-1] + 0.6]])
        responses[:] = middles[np.maximum(codes, 0.0).astype(np.int64)]
    else:
        responses[:] = np.log(codes.clip(0.0) + 0.5) if row[p.RESPONSE_KIND] == p.RESPONSE_COUNT else 0.0
    if row[p.RESPONSE_ROOT] >= 0:
        store[row[p.RESPONSE_ROOT] : row[p.RESPONSE_ROOT] + units] = 0.5


def _start_categories(index: NDArray[np.int64], store: Vector, row: NDArray[np.int64]) -> None:
    """Places and dummy variables of a nominal variable from its codes; latent responses on the right side of 0."""
    units, size = row[p.NOMINAL_UNITS], row[p.NOMINAL_SIZE]
    labels = store[row[p.NOMINAL_LABELS] : row[p.NOMINAL_LABELS] + size + 1]
    codes = store[row[p.NOMINAL_NUMBER] : row[p.NOMINAL_NUMBER] + units]
    places = np.abs(codes[:, None] - labels).argmin(axis=1)
    store[row[p.NOMINAL_PLACE] : row[p.NOMINAL_PLACE] + units] = places
    for k in range(size):
        dummy = index[row[p.NOMINAL_DUMMIES] + k]
        store[dummy : dummy + units] = places == k + 1
        if row[p.NOMINAL_RESPONSES] >= 0:
            response = index[row[p.NOMINAL_RESPONSES] + k]
            store[response : response + units] = np.where(places == k + 1, 0.6, -0.6)


def _spread(values: Vector) -> tuple[float, float]:
    """Mean and standard deviation of what is observed; (0, 1) where that says nothing."""
    seen = values[~np.isnan(values)]
    if seen.size < 2 or not seen.std() > 0.0:
        return (float(seen.mean()) if seen.size else 0.0), 1.0
    return float(seen.mean()), float(seen.std())


def _start_value(planned: PlannedModel, store: Vector, atom: Atom, offset: int, rng: Generator) -> None:
    """Missing values around the observed mean; categories at random from the observed ones."""
    variable = planned.model.variables[atom.name]
    cells = np.flatnonzero(variable.missing)
    mean, sd = _spread(variable.values)
    transformed = any(
        r.transformation is not None and r.equation.outcome == atom.name for r in planned.regressions.outcomes
    )
    if variable.kind is not Kind.CONTINUOUS or transformed:  # what is observed has a transform
        seen = variable.values[~variable.missing]
        store[offset + cells] = rng.choice(seen, cells.size)
    else:
        store[offset + cells] = mean + 0.5 * sd * rng.standard_normal(cells.size)


def _start_transformed(planned: PlannedModel, store: Vector, r: OutcomeRegression) -> None:
    """Transforms of missing values that are drawn.  Those whose power is drawn are functions of it."""
    if r.transformation is not None and r.left.kind == "transformed" and planned.symbols.is_dynamic(r.left):
        variable = planned.model.variables[r.equation.outcome]
        cells = np.flatnonzero(variable.missing)
        values = store[planned.symbols.offset(r.outcome) + cells]
        store[planned.symbols.offset(r.left) + cells] = r.transformation.forward(values)


def _start_predictors(planned: PlannedModel, store: Vector, rng: Generator) -> None:
    """Responses, cluster means and precisions of the predictor models."""
    symbols, model = planned.symbols, planned.model
    for part in planned.regressions.predictors:
        variable = model.variables[part.variable]
        mean, sd = _spread(variable.values)
        if variable.kind is not Kind.CONTINUOUS:
            mean, sd = 0.0, 1.0
        if not part.fixed:
            store[part.precision] = (1.0 + rng.random()) / sd**2
        if part.response.kind == "mean":
            offset = symbols.offset(part.response)
            n = symbols.units(part.level)
            own = symbols.predictor_response(part.variable, part.code or 0)
            values = store[symbols.offset(own) :][: symbols.units(variable.level)]
            parents = model.hierarchy.ancestors(variable.level, part.level)
            store[offset : offset + n] = np.bincount(parents, values, n) / np.bincount(parents, minlength=n)
        grand = symbols.grand(part.variable, part.code or 0)
        store[symbols.offset(grand)] = mean + 0.2 * sd * rng.standard_normal()


def _start_outcomes(planned: PlannedModel, store: Vector, rng: Generator) -> None:
    """Residual variances, covariance matrices, and the coefficients of latent variables."""
    regressions = planned.regressions
    scales = _latent_scales(planned, store)
    for r in regressions.locations:
        name = r.equation.outcome
        sd = scales.get(name) or _outcome_sd(planned, r)
        parameter = planned.model.parameters.get(r.equation.residual or "")
        free = parameter is not None and parameter.fixed is None
        if r.heterogeneous:
            _start_heterogeneous(planned, store, r, sd, rng)
        elif free and not r.covariance:
            store[r.precision] = (1.0 + rng.random()) / sd**2
        for c in regressions.covariances:
            if r.number in c.members:
                i = c.members.index(r.number)
                spread = sd * (0.7 + 0.3 * rng.random())
                if c.parts >= 0 and free:
                    store[c.parts + i] = spread
                store[c.factor + i * (i + 3) // 2] = spread
                store[r.precision] = 1.0 / spread**2
        for group, factor in zip(r.equation.random, r.factors, strict=True):
            for i, term in enumerate(reversed(group.terms)):
                size = max(_size(planned, store, r.terms[term].atoms()), 1e-6)
                store[factor + i * (i + 3) // 2] = sd * (0.2 + 0.4 * rng.random()) / size
        for monomial in r.expanded().terms:
            if any(atom.name in scales for atom in monomial if atom.kind == "value"):
                for atom in monomial:
                    if atom.kind == "parameter":  # a loading: away from zero, where its sign is not decided
                        store[planned.symbols.offset(atom)] = 0.7 + 0.6 * rng.random()
    for c in regressions.covariances:
        if c.parts >= 0:
            _start_parts(c, store)


def _start_heterogeneous(
    planned: PlannedModel, store: Vector, r: OutcomeRegression, sd: float, rng: Generator
) -> None:
    """A residual variance that differs between units: the same for all, at the intercept of its equation."""
    symbols = planned.symbols
    assert r.root is not None
    if not symbols.is_dynamic(r.root):
        return
    start = 2.0 * np.log(sd) - 0.7 * rng.random()
    root = symbols.offset(r.root)
    store[root : root + symbols.units(r.root.level)] = np.exp(-0.5 * start)
    if r.population >= 0:
        store[r.population : r.population + 2] = np.exp(start), 0.1 + 0.2 * rng.random()
        return
    v = next(v for v in planned.regressions.log_variances if v.equation.outcome == r.equation.outcome)
    for monomial in v.predictor(False).terms:
        if len(monomial) != 1:
            continue
        (atom,) = monomial
        variable = planned.model.variables.get(atom.name)
        if atom.kind == "parameter":
            store[symbols.offset(atom)] = start
        elif atom.kind == "value" and variable is not None and variable.role is Role.LATENT:
            offset = symbols.offset(atom)
            store[offset : offset + symbols.units(atom.level)] += start
    for group, factor in zip(v.equation.random, v.factors, strict=True):
        for i in range(len(group.terms)):
            store[factor + i * (i + 3) // 2] = 0.2 + 0.2 * rng.random()


def _start_parameters(planned: PlannedModel, store: Vector, rng: Generator) -> None:
    """Parameters with a step of their own, where all functions of parameters are finite; then the functions.

    What logits have in common begins at 0 if it can, as their other coefficients do: no odds are beyond any scale then.
    Raises ProblemError (kind NUMERICAL) when no such values are found.
    """
    common = {planned.symbols.offset(atom) for atom in planned.common}
    for attempt in range(TRIES):
        for row in planned.plan.parameters:
            _, _, low, high = prior = store[row[p.PARAMETER_PRIOR] :][:4]
            zero = attempt == 0 and row[p.PARAMETER_TARGET] in common and low < 0.0 < high
            store[row[p.PARAMETER_TARGET]] = 0.0 if zero else _within_prior(prior, rng)
        if compute_functions(planned, store):
            return
    names = ", ".join(sorted({a.name for f in planned.symbols.functions.values() for a in f.parameters}))
    message = f"the functions of {names} in the model are not finite at any of {TRIES} starting values"
    hint = "bound their arguments in PARAMETERS: label ~ truncate(low, high)"
    equations = [
        r for r in planned.regressions.locations if r.expanded().atoms() & set(planned.symbols.functions)
    ]
    raise ProblemError([Problem(message, equations[0].equation.span, hint, ProblemKind.NUMERICAL)])


def _within_prior(prior: Vector, rng: Generator) -> float:
    """A number within bounds, near one of them if there is only one; else around the prior mean, 0.5 if flat."""
    precision, mean, low, high = prior
    if np.isfinite(low) and np.isfinite(high):
        return float(low + (high - low) * rng.random())
    if np.isfinite(low) or np.isfinite(high):
        distance = 0.2 + rng.random()
        return float(low + distance if np.isfinite(low) else high - distance)
    sd = min(1.0, precision**-0.5) if precision > 0.0 else 1.0
    return float((mean if precision > 0.0 else 0.5) + 0.5 * sd * rng.standard_normal())


def compute_functions(planned: PlannedModel, store: Vector) -> bool:
    """Put the values of all functions of parameters into the store; False when one is not finite."""
    symbols = planned.symbols

    def values(atom: Atom, level: int) -> Vector:
        offset = symbols.offset(atom)
        own = symbols.static.get(atom, store[offset : offset + symbols.units(atom.level)])
        if level == TOP or atom.level in (TOP, level):
            return own
        return own[planned.model.hierarchy.ancestors(level, atom.level)]

    for symbol, function in symbols.functions.items():

        def evaluate(polynomial: Polynomial, level: int = symbol.level) -> Vector:
            total = np.zeros(symbols.units(level))
            for monomial, number in polynomial.terms.items():
                product: Vector = np.full(total.size, number)
                for atom in monomial:
                    product = product * values(atom, level)
                total = total + product
            return total

        found = function.compute(evaluate)
        if not np.isfinite(found).all():
            return False
        offset = symbols.offset(symbol)
        store[offset : offset + found.size] = found
    return True


def _start_parts(c: ResidualCovariance, store: Vector) -> None:
    """Factor and inverse of a matrix from its standard deviations and correlations."""
    m = len(c.members)
    for place, other in c.shared:
        store[c.parts + place] = store[c.parts + other]
    lower = np.tril_indices(m)
    correlations = np.zeros((m, m))
    correlations[lower] = store[c.parts + m : c.parts + m + m * (m + 1) // 2]
    correlations = correlations + np.tril(correlations, -1).T
    sds = store[c.parts : c.parts + m]
    matrix = correlations * np.outer(sds, sds)
    store[c.factor : c.factor + lower[0].size] = np.linalg.cholesky(matrix)[lower]
    store[c.precision : c.precision + lower[0].size] = np.linalg.inv(matrix)[lower]


def _outcome_sd(planned: PlannedModel, r: OutcomeRegression) -> float:
    """Rough residual standard deviation: 1 on the scale of a linear predictor."""
    variable = planned.model.variables[r.equation.outcome]
    if variable.kind is not Kind.CONTINUOUS:
        return 1.0
    seen = variable.values[~variable.missing]
    return _spread(seen if r.transformation is None else r.transformation.forward(seen))[1]


def _latent_scales(planned: PlannedModel, store: Vector) -> dict[str, float]:
    """Rough standard deviation of each latent variable, from what it is multiplied with to make an outcome."""
    latent = {n for n, v in planned.model.variables.items() if v.role is Role.LATENT}
    scales: dict[str, float] = {}
    for _ in latent:
        for r in planned.regressions.locations:
            outcome = r.equation.outcome
            sd = scales.get(outcome) if outcome in latent else _outcome_sd(planned, r)
            if sd is None:
                continue
            for monomial in r.expanded().terms:
                found = [atom for atom in monomial if atom.kind == "value" and atom.name in latent]
                rest = {atom for atom in monomial if atom not in found}
                for atom in found:
                    if atom.name != outcome:
                        scales.setdefault(atom.name, 0.5 * sd / max(_size(planned, store, rest), 1e-6))
    return {name: scales.get(name, 1.0) for name in latent}


def _size(planned: PlannedModel, store: Vector, atoms: set[Atom]) -> float:
    """Rough size of a term: the product of the standard deviations of its variables."""
    size = 1.0
    for atom in atoms:
        if atom.kind in ("value", "code", "derived"):
            values = planned.symbols.static.get(atom)
            if values is None:
                offset = planned.symbols.offset(atom)
                values = store[offset : offset + planned.symbols.units(atom.level)]
            size *= float(values.std()) or 1.0
    return size
