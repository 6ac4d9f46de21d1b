"""Test quantities: every parameter, and log densities of data and of what is random given the parameters.

Ranks of parameters alone miss a sampler that ignores the data; log densities depend on both (Modrak et al. 2023,
Bayesian Analysis, "Simulation-based calibration checking for Bayesian computation").
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats
from scipy.special import expit, log_ndtr, logsumexp

from mlbayes.calibrate.world import (
    Vector,
    World,
    block_of,
    categories,
    has_parts,
    labels_of,
    random_groups,
    response_names,
)
from mlbayes.model.expressions import Reference
from mlbayes.model.model import Distribution, Equation, Kind, ParameterKind, Role, Variable

DATA = "log likelihood"
LATENT = "log density of effects"
SMALLEST = 1e-300


def quantities(world: World) -> dict[str, float]:
    """Every test quantity by name, in a fixed order."""
    return parameters(world) | log_densities(world)


# ------------------------------------------------------------------ parameters
def parameters(world: World) -> dict[str, float]:
    """Every free parameter of the model."""
    model = world.model
    found = {}
    for name, parameter in model.parameters.items():
        if name in world.parameters and parameter.fixed is None and not _in_block(world, name):
            found[name] = world.parameters[name]
    for key, group in random_groups(model):
        if group.variance is not None and model.parameters[group.variance].fixed is not None:
            continue
        title = model.equations[key[0]].title + ("" if key[1] is None else f".{key[1]}")
        cluster = model.hierarchy.identifiers[group.level - 2] if group.level > 1 else ""
        matrix = world.matrices[key]
        for i, label in enumerate(group.labels):
            for j in range(i):
                found[f"{title}: Cov({group.labels[j]},{label}) {cluster}"] = float(matrix[i, j])
            found[f"{title}: Var({label}) {cluster}"] = float(matrix[i, i])
    for b, block in enumerate(model.covariances):
        found |= _block(world, b, block.members)
    for name, cuts in world.cuts.items():
        found |= {f"{name}: Tau {i + 1}": float(cut) for i, cut in enumerate(cuts) if i}
    for k, dispersion in world.dispersions.items():
        found[f"{model.equations[k].title}: log dispersion"] = math.log(dispersion)
    for k, (centre, index) in world.populations.items():
        found[f"{model.equations[k].title}: centre of variances"] = centre
        found[f"{model.equations[k].title}: heterogeneity index"] = index
    return found | _predictors(world)


def _in_block(world: World, name: str) -> bool:
    """Is it the residual variance of a member of a block (`~~`), which is read from the matrix."""
    owners = [e.outcome for e in world.model.equations if e.residual == name]
    return any(block_of(world.model, outcome) is not None for outcome in owners)


def _block(world: World, b: int, members: tuple[str, ...]) -> dict[str, float]:
    """Variances and covariances of a block; correlations where these have a prior of their own."""
    matrix = world.covariances[b]
    apart = has_parts(world.model, b)
    found = {}
    for i, name in enumerate(members):
        for j in range(i):
            if apart:
                fixed = world.model.covariances[b].correlations.get((j, i))
                if fixed is None or world.model.parameters[fixed].fixed is None:
                    value = matrix[i, j] / math.sqrt(matrix[i, i] * matrix[j, j])
                    found[f"Cor({members[j]},{name})"] = float(value)
            else:
                found[f"Cov({members[j]},{name})"] = float(matrix[i, j])
        equation = next(
            e
            for e in world.model.equations
            if e.outcome == name and e.distribution is not Distribution.LOG_VARIANCE
        )
        if equation.residual is not None and world.model.parameters[equation.residual].fixed is None:
            assert world.model.parameters[equation.residual].kind is ParameterKind.VARIANCE
            found[f"{name} residual"] = float(matrix[i, i])
    return found


def _predictors(world: World) -> dict[str, float]:
    found = {}
    for own in world.model.predictor_models:
        fixed = world.model.variables[own.variable].kind is not Kind.CONTINUOUS
        for name in response_names(world.model, own.variable):
            found[f"{name}: grand mean"] = world.grand[name]
            for part, one in enumerate(own.parts):
                for i, slope in enumerate(world.slopes[name, part]):
                    found[f"{name}: slope {i + 1} (level {one.level})"] = float(slope)
                if part or not fixed:
                    found[f"{name}: variance (level {one.level})"] = world.residuals[name, part]
    return found


# ------------------------------------------------------------------ log densities
def log_densities(world: World) -> dict[str, float]:
    """Of the observed data given everything else; of random effects, latent variables and cluster means."""
    model = world.model
    data, latent = 0.0, 0.0
    for k, equation in enumerate(model.equations):
        if (
            equation.distribution is Distribution.LOG_VARIANCE
            or block_of(model, equation.outcome) is not None
        ):
            continue
        variable = model.variables[equation.outcome]
        if variable.role is Role.LATENT:
            latent += float(np.sum(log_outcome(world, k)))
        else:
            data += float(np.sum(log_outcome(world, k)[~variable.missing]))
    for b, block in enumerate(model.covariances):
        data += _log_block(world, b, block.members)
    for key, _ in random_groups(model):
        latent += log_normals(world.effects[key], world.matrices[key])
    for k, (centre, index) in world.populations.items():
        x = 0.5 / index
        latent += float(stats.invgamma.logpdf(world.cluster_variances[k], x, scale=x * centre).sum())
    for own in model.predictor_models:
        for name in response_names(model, own.variable):
            for part, one in enumerate(own.parts):
                variable = model.variables[own.variable]
                response = world.means[name, one.level] if part else world.response(name, variable)
                mean, sd = world.predictor_mean(name, own, part), math.sqrt(world.residuals[name, part])
                values = stats.norm.logpdf(response, mean, sd)
                if part or variable.kind is not Kind.CONTINUOUS:
                    latent += float(values.sum())
                else:
                    data += float(values[~variable.missing].sum())
    found = {DATA: data}
    if latent:
        found[LATENT] = latent
    return found


def log_normals(values: Vector, matrix: Vector) -> float:
    """Log density of columns that are normal around 0 with a covariance matrix."""
    root = np.linalg.cholesky(matrix)
    z = np.linalg.solve(root, values)
    size = values.size
    return float(
        -0.5 * (z * z).sum()
        - values.shape[1] * np.log(np.diag(root)).sum()
        - 0.5 * size * math.log(2.0 * math.pi)
    )


def log_outcome(world: World, k: int) -> Vector:
    """Log density or probability of each unit's value in an equation given its linear predictor."""
    equation = world.model.equations[k]
    variable = world.model.variables[equation.outcome]
    values = world.data[equation.outcome]
    match equation.distribution:
        case Distribution.PROBIT | Distribution.LOGIT:
            return _log_ordinal(world, equation, variable)
        case Distribution.MULTINOMIAL:
            codes = categories(equation)
            logits = np.stack([np.zeros(values.size), *(world.fitted(k, code) for code in codes)])
            labels = np.array([variable.reference, *codes], dtype=np.float64)
            place = np.abs(np.nan_to_num(values)[None] - labels[:, None]).argmin(axis=0)
            return logits[place, np.arange(values.size)] - logsumexp(logits, axis=0)
        case Distribution.NEGATIVE_BINOMIAL:
            size = 1.0 / world.dispersions[k]
            mean = np.exp(np.minimum(world.fitted(k), 300.0))
            return np.asarray(stats.nbinom.logpmf(np.nan_to_num(values), size, size / (size + mean)))
    sd = np.sqrt(world.variance(k))
    if isinstance(equation.left, Reference) and equation.distribution is Distribution.NORMAL:
        return np.asarray(stats.norm.logpdf(values, world.fitted(k), sd))
    return np.asarray(stats.norm.logpdf(left_side(world, equation), world.fitted(k), sd))


def left_side(world: World, equation: Equation) -> Vector:
    """What is normal around the linear predictor of a transformed outcome."""
    from mlbayes.data.functions import yeo_johnson

    left = world.evaluate(equation.left, equation.level)
    if equation.distribution is not Distribution.YEO_JOHNSON:
        return left
    return yeo_johnson(left, np.full(left.size, world.parameters[f"{equation.title} lambda"]))


def _log_ordinal(world: World, equation: Equation, variable: Variable) -> Vector:
    """Probabilities of intervals between thresholds."""
    k = world.model.equations.index(equation)
    labels, fitted = labels_of(variable), world.fitted(k)
    place = np.abs(np.nan_to_num(world.data[variable.name])[:, None] - labels).argmin(axis=1)
    cuts = world.cuts.get(variable.name, np.zeros(1))
    lower = np.concatenate([[-np.inf], cuts])[place] - fitted
    upper = np.concatenate([cuts, [np.inf]])[place] - fitted
    flip = lower > 0.0
    lower, upper = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    if equation.distribution is Distribution.LOGIT:
        return np.log(np.maximum(expit(upper) - expit(lower), SMALLEST))
    top, bottom = log_ndtr(upper), log_ndtr(lower)
    with np.errstate(divide="ignore"):
        return np.maximum(top + np.log1p(-np.exp(np.minimum(bottom - top, 0.0))), math.log(SMALLEST))


def _log_block(world: World, b: int, members: tuple[str, ...]) -> float:
    """Log density of the correlated residuals of units with all values observed or latent."""
    rows, seen, logs = [], None, np.zeros(1)
    for name in members:
        k = next(
            k
            for k, e in enumerate(world.model.equations)
            if e.outcome == name and e.distribution is not Distribution.LOG_VARIANCE
        )
        equation, variable = world.model.equations[k], world.model.variables[name]
        probit = equation.distribution is Distribution.PROBIT
        rows.append((world.responses[name] if probit else left_side(world, equation)) - world.fitted(k))
        modelled = world.modelled_variance(k)
        if modelled is not None:
            rows[-1] = rows[-1] / np.sqrt(modelled)
            logs = logs + np.log(modelled)  # of the division
        own = np.ones(rows[-1].size, bool) if variable.role is Role.LATENT else ~variable.missing
        seen = own if seen is None else seen & own
    values, logs = np.stack(rows)[:, seen], np.broadcast_to(logs, rows[0].shape)[seen]
    return log_normals(values, world.covariances[b]) - 0.5 * float(logs.sum()) if values.size else 0.0
