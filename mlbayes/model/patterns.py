"""Sample size, clusters and patterns of missing values (DATA INFORMATION)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.expressions import Form, Reference, references
from mlbayes.model.model import Kind, Model, Role
from mlbayes.results.document import DataInformation, MissingRow

SHOWN = 10
Marks = NDArray[np.bool_]


def data_information(model: Model) -> DataInformation:
    """DATA INFORMATION of a model; the most frequent patterns by falling share."""
    rows = _rows(model)
    matrix = np.array([marks for _, _, marks in rows]).reshape(len(rows), model.hierarchy.units[0])
    patterns, counts = _patterns(matrix)
    shares = [100.0 * count / model.hierarchy.units[0] for count in counts.tolist()]
    shown = len(counts) if "allpatterns" in model.settings.options else SHOWN
    return DataInformation(
        sample_size=model.hierarchy.units[0],
        identifiers={str(k): name for k, name in enumerate(model.hierarchy.identifiers, start=2)},
        time=model.time or "",
        clusters={str(k): units for k, units in enumerate(model.hierarchy.units[1:], start=2)},
        dummies={
            v.name: [f"{v.name}.{code}" for code in v.codes if code != v.reference]
            for v in model.variables.values()
            if v.kind is Kind.NOMINAL and v.role is not Role.UNUSED
        },
        missing=[
            MissingRow(label, percent, "".join("M" if m else "-" for m in patterns[i, :shown]))
            for i, (label, percent, _) in enumerate(rows)
        ],
        pattern_percent=shares[:shown],
        hidden_patterns=max(len(counts) - shown, 0),
    )


def _rows(model: Model) -> list[tuple[str, float, Marks]]:
    """Label, share of missing units in % and marks over rows.

    Outcomes come first, then the other variables, both in file order, then lags.
    """
    observed = [v for v in model.variables.values() if v.role not in (Role.LATENT, Role.UNUSED)]
    observed = [v for v in observed if v.name not in model.hierarchy.identifiers]
    outcomes = [v for v in observed if v.role is Role.OUTCOME and not model.imputation]
    others = [v for v in observed if v not in outcomes]
    rows = [
        (v.name, 100.0 * float(v.missing.mean()), v.missing[model.hierarchy.ancestors(1, v.level)])
        for v in [*outcomes, *others]
    ]
    return rows + [_lagged(model, reference) for reference in _lags(model)]


def _patterns(matrix: Marks) -> tuple[Marks, NDArray[np.int64]]:
    """Distinct columns and how often they occur, most frequent first.

    Among equally frequent ones those come first in which the upper rows of the table are observed.
    """
    pattern = np.zeros(matrix.shape[1], np.int64)
    for marks in matrix:  # numbered anew after each row, in lexicographic order
        _, pattern = np.unique(2 * pattern + marks, return_inverse=True)
    _, first, counts = np.unique(pattern, return_index=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return matrix[:, first[order]], counts[order]


# ------------------------------------------------------------------ lags
def _lags(model: Model) -> list[Reference]:
    """The lagged variables of the equations, each once, those of outcomes in order of the variables."""
    found = {
        (reference.variable, reference.argument): reference
        for equation in model.equations
        for term in equation.terms
        for reference in references(term.expression)
        if reference.form is Form.LAG
    }
    position = {name: i for i, name in enumerate(model.variables)}
    return [found[key] for key in sorted(found, key=lambda key: (position[key[0]], key[1]))]


def _lagged(model: Model, reference: Reference) -> tuple[str, float, Marks]:
    """A lag is missing where the earlier occasion is, or where there is none."""
    variable = model.variables[reference.variable]
    missing = np.ones(model.hierarchy.units[0], np.bool_)
    source = model.hierarchy.earlier(reference.argument)
    known = source >= 0
    missing[known] = variable.missing[model.hierarchy.ancestors(1, variable.level)][source[known]]
    return f"{variable.name}.lag{reference.argument}", 100.0 * float(missing.mean()), missing
