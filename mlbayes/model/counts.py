"""The number of free parameters, as MODEL INFORMATION counts them.

Fixed and constrained parameters do not count, equal labels count once.
"""

from __future__ import annotations

from mlbayes.model.expressions import ParameterReference
from mlbayes.model.heterogeneity import varies_between_clusters
from mlbayes.model.model import Distribution, Equation, Kind, Model, PredictorModel


def count_parameters(model: Model) -> dict[str, int]:
    """The printed counts by group."""
    if model.imputation:
        return {"Imputation Models": sum(_predictor_model(model, m) for m in model.predictor_models)}
    counts = {"Outcome Models": _outcome_models(model)}
    generated = sum(
        q.expression != ParameterReference(q.name) for q in model.generated
    )  # others are parameters
    if generated:
        counts["Generated Parameters"] = generated
    counts["Predictor Models"] = sum(_predictor_model(model, m) for m in model.predictor_models)
    return counts


def _outcome_models(model: Model) -> int:
    free = sum(p.fixed is None and p.definition is None for p in model.parameters.values())
    free -= _correlations_and_variances(model)
    for equation in model.equations:
        free += _thresholds(model, equation) + _heterogeneous(model, equation)
        for random in equation.random:
            size = len(random.terms)
            free += size * (size + 1) // 2
    return free + sum(len(b.members) * (len(b.members) - 1) // 2 for b in model.covariances)


def _correlations_and_variances(model: Model) -> int:
    """How many parameters too many are counted for labelled or fixed elements of covariance matrices.

    All elements of a matrix are counted.  A free label is counted again as a parameter; a fixed element
    should not be counted at all.
    """
    names = [name for block in model.covariances for name in block.correlations.values()]
    names += [r.variance for e in model.equations for r in e.random if r.variance is not None]
    return len(names)


def _thresholds(model: Model, equation: Equation) -> int:
    """The free thresholds of an ordinal outcome; the first is fixed at zero."""
    variable = model.variables[equation.outcome]
    ordered = equation.distribution in (Distribution.PROBIT, Distribution.LOGIT)
    return max(len(variable.codes) - 2, 0) if ordered else 0


def _heterogeneous(model: Model, equation: Equation) -> int:
    """With hev every cluster has a residual variance, in place of a common one."""
    return model.hierarchy.units[1] - 1 if varies_between_clusters(model, equation) else 0


def _predictor_model(model: Model, predictor: PredictorModel) -> int:
    """Grand mean, slopes, variances and thresholds; those of the latent responses' own level are fixed."""
    variable = model.variables[predictor.variable]
    responses = len(variable.codes) - 1 if variable.kind is Kind.NOMINAL else 1
    categorical = variable.kind in (Kind.NOMINAL, Kind.ORDINAL)
    count = responses
    for part in predictor.parts:
        count += responses * len(part.predictors)
        if not (categorical and part.level == variable.level):
            count += responses
    return count + (max(len(variable.codes) - 2, 0) if variable.kind is Kind.ORDINAL else 0)
