"""Rule for lagged variables: missing values of a series and those before its start, one cluster after the other."""

from __future__ import annotations

import numpy as np

from mlbayes.model.model import Kind, Role
from mlbayes.model.places import place_of
from mlbayes.plan import plan as p
from mlbayes.plan.choice import Choice, PlannedStep, outcome_residuals, refuse_in_logits
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.lags import Series, lagged_names
from mlbayes.plan.polynomial import Polynomial
from mlbayes.plan.symbols import steps_of, unsupported


def plan_series(choice: Choice) -> None:
    """Append the steps of all lagged variables."""
    for name in lagged_names(choice.model):
        place = place_of(name, choice.model.equations)
        with steps_of(choice.builder, f"the series of {name}", place):
            _check(choice, name)
            _Steps(choice, choice.symbols.series(name)).write()


def _check(choice: Choice, name: str) -> None:
    variable = choice.model.variables[name]
    if variable.kind is not Kind.CONTINUOUS or variable.role is Role.LATENT or variable.level != 1:
        raise unsupported(
            f"the lag of '{name}', which is not a continuous variable of rows, cannot be run yet"
        )
    if variable.incomplete and not any(
        r.outcome.name == name and r.normal for r in choice.regressions.outcomes
    ):
        raise unsupported(
            f"the lag of '{name}', which has missing values but no equation, cannot be run yet",
            f"give it one, for example: {name} ~ 1;",
        )


class _Steps:
    """Writes the steps of one series."""

    def __init__(self, choice: Choice, series: Series) -> None:
        self.choice = choice
        self.symbols = choice.symbols
        self.builder = choice.builder
        self.series = series
        self.value = choice.symbols.value(series.name)
        self.lags = [self.value, *(choice.symbols.lag(series.name, k) for k in range(1, series.order + 1))]

    def write(self) -> None:
        """Residuals and what the series is multiplied with in them; the draw; values and lags where others look."""
        builder, series = self.builder, self.series
        refuse_in_logits(self.choice, self.lags, f"the lagged variable '{series.name}'")
        residuals, coupled = outcome_residuals(self.choice, self.lags)
        units = builder.unit_set(1, self.symbols.units(1), None, None)
        with builder.program():
            values = self.symbols.series_values(series.name)
            if self.symbols.is_dynamic(self.value):
                self._scatter(values)
            self._gather(values)
            evaluator = Evaluator(self.symbols, units)
            rows = []
            for residual in residuals:
                active = None if residual.active.all() else residual.active.astype(np.float64)
                if not residual.polynomial.is_affine_in(self.lags):
                    raise unsupported(
                        f"a product of '{series.name}' with its lag, or a power of it, cannot be run yet"
                    )
                parts = residual.polynomial.by_unknown(self.lags)
                factors = [evaluator.vector(parts.get(lag, Polynomial()), active) for lag in self.lags]
                rows.append((evaluator.vector(residual.polynomial, active), builder.indices(factors)))
        start = builder.count("series_equations")
        pairs = [(e, e, residual.precision) for e, residual in enumerate(residuals)]
        pairs += [(c.first, c.second, c.precision) for c in coupled]
        for e, f, precision in pairs:
            builder.add("series_equations", [*rows[e], *rows[f], precision, int(e == f)])
        unknown = np.flatnonzero(~series.known)
        prior = np.zeros((2, series.places))
        prior[0, series.before], prior[1, series.before] = series.precision, series.mean
        row = [
            values,
            series.starts.size - 1,
            builder.indices(series.starts),
            builder.indices(unknown),
            builder.indices(np.searchsorted(unknown, series.starts)),
            series.order,
            builder.vector(prior.ravel()),
            series.places,
            start,
            builder.count("series_equations"),
            int(np.diff(series.starts).max()),
        ]
        builder.step(p.STEP_SERIES, builder.add("series", row))
        with builder.program():
            if self.symbols.is_dynamic(self.value):
                index = builder.indices(series.rows)
                builder.instruct(
                    p.OP_GATHER, self.symbols.offset(self.value), series.rows.size, values, index
                )
            self._gather(values)
        what = f"values of {series.name} before the first occasion"
        if self.symbols.is_dynamic(self.value):
            what = f"missing values of {series.name}, and those before the first occasion"
        self.choice.steps.append(
            PlannedStep(
                what,
                "one exact Gaussian draw for each cluster's series (banded precision matrix)",
                "a value is in its own equation and, as a lag, in those of later occasions",
            )
        )

    def _scatter(self, values: int) -> None:
        """Rows to their places in the series."""
        index, n = self.builder.indices(self.series.rows), self.series.rows.size
        self.builder.instruct(p.OP_SCATTER, self.symbols.offset(self.value), n, values, index)

    def _gather(self, values: int) -> None:
        """Lags of all rows from the series."""
        n = self.series.rows.size
        for k, lag in enumerate(self.lags[1:], 1):
            index = self.builder.indices(self.series.rows - k)
            self.builder.instruct(p.OP_GATHER, self.symbols.offset(lag), n, values, index)
