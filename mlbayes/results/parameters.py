"""Parameters by name, and what is computed from them: generated quantities, covariances of residuals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.model import CovarianceBlock, Distribution, Model
from mlbayes.problems import Problem, ProblemError
from mlbayes.results.draws import Draws
from mlbayes.results.expressions import evaluate
from mlbayes.results.rows import RowDraws, TableDraws, constant
from mlbayes.results.variances import outcome_variances

Array = NDArray[np.float64]


class Parameters:
    """Draws by name: free, defined and fixed parameters, `y.totalvar` and its like, generated quantities."""

    def __init__(self, model: Model, draws: Draws) -> None:
        self.model = model
        self.draws = draws
        self.generated: dict[str, Array] = {}
        for quantity in model.generated:
            self.generated[quantity.name] = evaluate(quantity.expression, self.find)

    def find(self, name: str) -> Array:
        """The draws of a name, shape (chains, draws) or (1, 1)."""
        if name in self.generated:
            return self.generated[name]
        if name in self.draws.parameters:
            return self.draws.parameters[name]
        parameter = self.model.parameters.get(name)
        if parameter is not None and parameter.fixed is not None:
            return constant(parameter.fixed)
        if parameter is not None and parameter.definition is not None:
            return evaluate(parameter.definition, self.find)
        variable, _, part = name.rpartition(".")
        return self.variance(variable, part, name)

    def variance(self, variable: str, part: str, name: str) -> Array:
        """`totalvar`, `coefvar` or `residvar` of an outcome."""
        for equation, drawn in zip(self.model.equations, self.draws.equations, strict=True):
            of_variance = equation.distribution is Distribution.LOG_VARIANCE
            if variable == equation.outcome and not of_variance:
                parts = outcome_variances(equation, drawn)
                found = {"totalvar": parts.total, "coefvar": parts.explained, "residvar": parts.residual}
                if part in found:
                    return found[part]
        raise ProblemError([Problem(f"nothing is known about '{name}' after the run")])


def generated_table(model: Model, parameters: Parameters, conditional: list[RowDraws]) -> list[TableDraws]:
    """The table of the generated quantities and then the conditional ones, if there are any."""
    rows = [
        RowDraws(quantity.name, parameters.generated[quantity.name], tested=True)
        for quantity in model.generated
    ]
    rows += conditional
    return [TableDraws("generated", "Parameters", "", rows)] if rows else []


def correlation_name(block: CovarianceBlock, i: int, j: int) -> str:
    """Name under which the draws of a residual correlation are kept."""
    return block.correlations.get((i, j)) or f"Cor({block.members[i]},{block.members[j]})"


def covariance_table(block: CovarianceBlock, model: Model, parameters: Parameters) -> TableDraws:
    """Covariances and correlations of the residuals of a block; with phantom variables the latter alone.

    Where a variance is modelled the covariance is an average over rows, kept under the name of its row.
    """
    pairs = [(i, j) for i in range(len(block.members)) for j in range(i + 1, len(block.members))]
    names = [(block.members[i], block.members[j]) for i, j in pairs]
    correlations = [parameters.find(correlation_name(block, i, j)) for i, j in pairs]
    if "use_phantom" in model.settings.options:
        rows = [RowDraws(f"{a} <-> {b}", values) for (a, b), values in zip(names, correlations, strict=True)]
        return TableDraws("phantom", "Phantom Variable Correlations", "", rows, block=block.block)
    modelled = {e.outcome for e in model.equations if e.distribution is Distribution.LOG_VARIANCE}
    covariances, standardized = [], []
    for (a, b), correlation in zip(names, correlations, strict=True):
        label = f"Cov({a},{b})"
        standardized.append(RowDraws(f"Cor({a},{b})", correlation, "Correlations", tested=True))
        if modelled & {a, b}:
            # The mean over rows does not follow from mean variances: it is printed if it was kept.
            if label in parameters.draws.parameters:
                average = parameters.draws.parameters[label]
                covariances.append(RowDraws(label, average, "Average Covariances", tested=True))
            continue
        variances = parameters.variance(a, "residvar", a) * parameters.variance(b, "residvar", b)
        covariances.append(RowDraws(label, correlation * np.sqrt(variances), "Covariances", tested=True))
    return TableDraws(
        "covariance",
        "Covariance Matrix",
        " ".join(block.members),
        covariances + standardized,
        block=block.block,
    )
