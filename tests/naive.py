"""Slow, obvious implementations of what the engine computes, with numpy and scipy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import linalg, stats

Array = np.ndarray


# ------------------------------------------------------------------ densities
def log_normal(x: Array, mean: Array | float, variance: Array | float) -> float:
    """Log density of independent normals, with one variance or one for each."""
    return float(stats.norm.logpdf(x, mean, np.sqrt(variance)).sum())


def log_inverse_gamma(x: float, a: float, b: float) -> float:
    """log of x^(-a-1) exp(-b/x): normalised only if the prior is proper, which differences do not need."""
    if a > 0.0 and b > 0.0:
        return float(stats.invgamma.logpdf(x, a, scale=b))
    return -(a + 1.0) * np.log(x) - b / x


def log_inverse_wishart(s: Array, df: float, scale: Array) -> float:
    """log of |S|^(-(df+p+1)/2) exp(-tr(scale S^-1)/2); normalised by scipy when the prior is proper."""
    p = len(s)
    if df > p - 1 and np.linalg.det(scale) > 0.0:
        return float(stats.invwishart.logpdf(s, df, scale))
    return -0.5 * (df + p + 1) * np.linalg.slogdet(s)[1] - 0.5 * float(np.trace(scale @ np.linalg.inv(s)))


def log_jacobian_of_factor(factor: Array) -> float:
    """log |d vech(LL') / d vech(L)| by differencing the map itself (exact: it is quadratic)."""
    p = len(factor)
    lower = np.tril_indices(p)
    jacobian = []
    for i, j in zip(*lower, strict=True):
        e = np.zeros((p, p))
        e[i, j] = 1.0
        jacobian.append((e @ factor.T + factor @ e.T)[lower])
    return float(np.linalg.slogdet(np.array(jacobian))[1])


def log_prior_of_factor(factor: Array, df: float, scale: float) -> float:
    """Log density of L when LL' ~ IW(df, scale I)."""
    s = factor @ factor.T
    return log_inverse_wishart(s, df, scale * np.eye(len(s))) + log_jacobian_of_factor(factor)


def log_mixed_model(
    y: Array, x: Array, beta: Array, parts: Sequence[tuple[Array, Array, Array]], variance: float
) -> float:
    """Log density of y ~ N(X beta, sum over levels of Z S Z' + variance I).

    `parts`: for each level (Z of shape (rows, effects), cluster of each row, S).
    """
    return float(stats.multivariate_normal.logpdf(y, x @ beta, mixed_covariance(len(y), parts, variance)))


def mixed_covariance(n: int, parts: Sequence[tuple[Array, Array, Array]], variance: float) -> Array:
    """Marginal covariance matrix of a mixed model."""
    total = variance * np.eye(n)
    for z, cluster, s in parts:
        same = cluster[:, None] == cluster[None, :]
        total = total + same * (z @ s @ z.T)
    return total


def log_restricted(y: Array, x: Array, parts: Sequence[tuple[Array, Array, Array]], variance: float) -> float:
    """Log of the integral of the mixed model's density over flat coefficients (a restricted likelihood)."""
    v = mixed_covariance(len(y), parts, variance)
    vx, vy = np.linalg.solve(v, x), np.linalg.solve(v, y)
    information = x.T @ vx
    residual = y @ vy - (x.T @ vy) @ np.linalg.solve(information, x.T @ vy)
    n, k = x.shape
    total = (n - k) * np.log(2.0 * np.pi) + np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]
    return -0.5 * float(total + residual)


# ------------------------------------------------------------------ small algebra
def cross_products(a: Array, b: Array, parents: Array, size: int) -> Array:
    """Sums of a b within each parent, one after the other."""
    sums = np.zeros(size)
    for x, y, u in zip(a, b, parents, strict=True):
        sums[u] += x * y
    return sums


def eliminate(p: Array, h: Array, keep: int) -> tuple[Array, Array, float]:
    """Integrate out all but the last `keep` of a Gaussian exp(-(t'Pt - 2h't)/2): P, h left and log determinant."""
    inner, outer = slice(0, len(h) - keep), slice(len(h) - keep, None)
    solved = np.linalg.solve(p[inner, inner], np.column_stack([p[inner, outer], h[inner]]))
    rest = p[outer, outer] - p[outer, inner] @ solved[:, :-1]
    return rest, h[outer] - p[outer, inner] @ solved[:, -1], float(np.linalg.slogdet(p[inner, inner])[1])


# ------------------------------------------------------------------ explained variance
def variance_parts(
    x: Array, beta: Array, groups: Sequence[tuple[Sequence[int], Array]]
) -> dict[str, list[float]]:
    """Rights & Sterba (2019): variance by the coefficients, and by each group's intercepts and slopes.

    `x`: terms, shape (rows, terms), raw; `groups`: (positions of the terms, covariance matrix).
    """
    parts = {"sd": list(x.std(axis=0, ddof=1)), "explained": [float(np.var(x @ beta, ddof=1))], "random": []}
    for terms, t in groups:
        z = x[:, list(terms)]
        mean, spread = z.mean(axis=0), np.atleast_2d(np.cov(z, rowvar=False))
        parts["random"] += [float(mean @ t @ mean), float(np.trace(spread @ t))]
    return parts


# ------------------------------------------------------------------ a plain Gibbs sampler
def gibbs_mixed_model(
    y: Array,
    x: Array,
    z: Array,
    cluster: Array,
    prior_mean: Array,
    prior_variance: Array,
    variance_prior: tuple[float, float],
    matrix_prior: tuple[float, Array],
    draws: int,
    burn: int,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """The textbook sampler for y = X beta + Z u_j + e: beta, every u_j, S and the variance in turn.

    beta ~ N(prior_mean, diag(prior_variance)), variance ~ IG(a, b), S ~ IW(df, scale).
    """
    n, k = x.shape
    q = z.shape[1]
    members = [np.flatnonzero(cluster == j) for j in np.unique(cluster)]
    u = np.zeros((len(members), q))
    beta, s, variance = np.zeros(k), np.eye(q), 1.0
    own = np.zeros((n, q))
    kept = {"beta": np.empty((draws, k)), "s": np.empty((draws, q, q)), "variance": np.empty(draws)}
    for i in range(-burn, draws):
        precision = x.T @ x / variance + np.diag(1.0 / prior_variance)
        linear = x.T @ (y - (z * own).sum(axis=1)) / variance + prior_mean / prior_variance
        beta = draw_gaussian(precision, linear, rng)
        rest = y - x @ beta
        inverse = np.linalg.inv(s)
        for j, rows in enumerate(members):
            u[j] = draw_gaussian(
                z[rows].T @ z[rows] / variance + inverse, z[rows].T @ rest[rows] / variance, rng
            )
            own[rows] = u[j]
        df, scale = matrix_prior
        s = np.atleast_2d(stats.invwishart.rvs(df + len(members), scale + u.T @ u, random_state=rng))
        squares = float(((rest - (z * own).sum(axis=1)) ** 2).sum())
        a, b = variance_prior
        variance = (b + 0.5 * squares) / rng.standard_gamma(a + 0.5 * n)
        if i >= 0:
            kept["beta"][i], kept["s"][i], kept["variance"][i] = beta, s, variance
    return kept


def draw_gaussian(precision: Array, linear: Array, rng: np.random.Generator) -> Array:
    """A draw from N(P^-1 h, P^-1)."""
    lower = np.linalg.cholesky(precision)
    half = linalg.solve_triangular(lower, linear, lower=True)
    return linalg.solve_triangular(lower.T, half + rng.standard_normal(len(linear)), lower=False)


# ------------------------------------------------------------------ Monte Carlo error
def batch_error(draws: Array, batches: int = 40) -> float:
    """Standard error of a mean by batch means; `draws` of shape (chains, draws) or (draws,)."""
    chains = np.atleast_2d(draws)
    each = max(2, batches // len(chains))
    length = chains.shape[1] // each
    means = chains[:, : each * length].reshape(len(chains) * each, length).mean(axis=1)
    return float(means.std(ddof=1) / np.sqrt(means.size))


def difference_in_errors(a: Array, b: Array, of: Callable[[Array], Array] = lambda x: x) -> float:
    """Difference of two posterior means of a function, in units of its Monte Carlo error."""
    a, b = of(a), of(b)
    return float((a.mean() - b.mean()) / np.hypot(batch_error(a), batch_error(b)))


def multinomial_probit(means: Array) -> Array:
    """Probabilities that each of 0 and of normal responses with these means is the largest, (units, responses + 1).

    The responses have variances 1 and covariances 1/2; differences between them are normal too.
    """
    n, k = means.shape
    matrix = 0.5 * (np.eye(k) + 1.0)
    found = np.empty((n, k + 1))
    for c in range(k + 1):
        contrast = np.delete(np.vstack([np.zeros(k), np.eye(k)]), c, axis=0)
        contrast = contrast - (np.zeros(k) if c == 0 else np.eye(k)[c - 1])  # the others less c: all negative
        law = stats.multivariate_normal(np.zeros(k), contrast @ matrix @ contrast.T)
        found[:, c] = law.cdf(-(means @ contrast.T))
    return found


# ------------------------------------------------------------------ the joint density of a whole model
class Values:
    """Values of everything in a model graph, by meaning.

    `data`: name -> values at the variable's level.  `means`: (name, level).  `grand`, `responses`: name.  What
    belongs to a response of a nominal predictor has the name of its dummy variable, `n.2`.
    `parameters`: coefficients and variances by name.  `effects`, `matrices`: (equation, category, level), shape
    (terms, units) and (terms, terms) in the order of RandomEffects.terms.  `slopes`, `residuals`: (name, part).
    `working`: per (equation, category) of a categorical or count outcome its response and the precision of each
    unit.  Several logits of a nominal outcome count with their probabilities, but for those in `forms`, one for each
    outcome at the most, which count with their working response.
    `lags`: (name, occasions).  `cluster_variances`: per equation a residual variance of each
    cluster.  `active`: per equation which units count.  `modes`: what becomes of
    centring at grand means in an equation: "exact", "raw" (none) or "shifted" (at observed means).
    `covariances`: residual covariance matrices by their equations, of residuals over their standard deviations where
    the log variance is modelled.
    `cuts`: per ordinal outcome all thresholds, the first 0; `predictor_cuts`: the same of ordinal predictors by name;
    `dispersions`: per count outcome.
    """

    def __init__(self, model) -> None:
        self.model = model
        self.data: dict = {}
        self.means: dict = {}
        self.grand: dict = {}
        self.responses: dict = {}
        self.parameters: dict = {}
        self.effects: dict = {}
        self.matrices: dict = {}
        self.slopes: dict = {}
        self.residuals: dict = {}
        self.active: dict = {}
        self.working: dict = {}
        self.lags: dict = {}
        self.forms: set = set()
        self.cluster_variances: dict = {}
        self.covariances: dict = {}
        self.cuts: dict = {}
        self.predictor_cuts: dict = {}
        self.dispersions: dict = {}
        self.modes: dict = {}

    # -------------------------------------------------------------- expressions
    def spread(self, values: Array, lower: int, level: int) -> Array:
        """Values of units of `level` for the units of a level below."""
        return values[self.model.hierarchy.ancestors(lower, level)]

    def expression(self, e, level: int, mode: str = "exact") -> Array:
        """An expression of the model graph over the units of a level."""
        kind = type(e).__name__
        if kind == "Constant":
            return np.full(self.model.hierarchy.units[level - 1], e.value)
        if kind == "ParameterReference":
            return np.full(self.model.hierarchy.units[level - 1], self.coefficient(e.name))
        if kind == "Reference":
            return self.reference(e, level, mode)
        x = [self.expression(argument, level, mode) for argument in e.arguments]
        return {
            "+": lambda: x[0] + x[1],
            "-": lambda: x[0] - x[1] if len(x) == 2 else -x[0],
            "neg": lambda: -x[0],
            "*": lambda: x[0] * x[1],
            "/": lambda: x[0] / x[1],
            "^": lambda: x[0] ** x[1],
            "exp": lambda: np.exp(x[0]),
            "ln": lambda: np.log(x[0]),
            "sqrt": lambda: np.sqrt(x[0]),
            "phi": lambda: stats.norm.cdf(x[0]),
            "abs": lambda: np.abs(x[0]),
            "min": lambda: np.minimum.reduce(x),
            "max": lambda: np.maximum.reduce(x),
            "<=": lambda: (x[0] <= x[1]).astype(float),
            "ifelse": lambda: np.where(x[0] != 0.0, x[1], x[2]),
            "==": lambda: (x[0] == x[1]).astype(float),
        }[e.operator]()

    def reference(self, e, level: int, mode: str = "exact") -> Array:
        """A variable in an expression: its value, dummy or cluster mean, less what it is centred at."""
        form, centring, name = e.form.name, e.centring.name, e.variable
        variable = self.model.variables[name]
        if form == "LAG":
            return self.lags[name, e.argument]
        if form == "EFFECT":
            return self.spread(self.named_effect(name), level, e.level)
        own = e.level if form == "MEAN" else variable.level
        values = self.means[name, e.level] if form == "MEAN" else self.data[name]
        if form == "DUMMY":
            values = (values == e.argument).astype(float)
        values = self.spread(values, level, own)
        if centring == "NONE":
            return values
        observed = variable.values
        if form == "DUMMY":
            observed = np.where(np.isnan(observed), np.nan, observed == e.argument)
        if (f"{name}.{e.argument}" if form == "DUMMY" else name) not in self.grand:
            if centring == "GRAND":
                return values - self.spread(observed, 1, own).mean()
            means = [values[self.model.hierarchy.ancestors(level, own + 1) == j].mean()
                     for j in range(self.model.hierarchy.units[own])]  # fmt: skip
            return values - self.spread(np.array(means), level, own + 1)
        if centring == "GROUP" and form == "VALUE" and variable.kind.name == "ORDINAL":
            return values - self.spread(self.expected_code(name, own + 1), level, own + 1)
        if centring == "GROUP":
            return values - self.spread(self.means[name, own + 1], level, own + 1)
        if mode == "shifted":
            return values - np.nanmean(self.spread(observed, 1, variable.level))
        if mode == "raw":
            return values
        return values - (self.category_share(name, e.argument) if form == "DUMMY" else self.grand[name])

    def expected_code(self, name: str, level: int) -> Array:
        """The expected code of an ordinal predictor at its latent cluster means."""
        codes, cuts = sorted(self.model.variables[name].codes), self.predictor_cuts[name]
        ends = np.concatenate([[-np.inf], cuts, [np.inf]])
        below = stats.norm.cdf(ends[None, :] - self.means[name, level][:, None])
        return np.diff(below, axis=1) @ np.array(codes, dtype=float)

    def category_share(self, name: str, code: int) -> float:
        """Probability of a code of a nominal predictor, averaged over units whose responses have their grand means."""
        variable = self.model.variables[name]
        codes = [each for each in sorted(variable.codes) if each != variable.reference]
        means = np.stack([self.predictor_mean(f"{name}.{each}", 0) for each in codes], axis=1)
        means += [self.grand[f"{name}.{each}"] for each in codes] - means.mean(axis=0)
        return float(multinomial_probit(means)[:, codes.index(code) + 1].mean())

    def named_effect(self, name: str) -> Array:
        """Values of a random effect that other equations use, over its clusters."""
        named = next(effect for effect in self.model.named_effects if effect.name == name)
        k = next(k for k, e in enumerate(self.model.equations) if e.outcome == named.outcome)
        group = next(group for group in self.model.equations[k].random if group.level == named.level)
        return self.effects[k, None, named.level][group.labels.index(named.label)]

    def coefficient(self, name: str) -> float:
        """Value of a parameter: free, fixed, or defined by others."""
        parameter = self.model.parameters[name]
        if parameter.fixed is not None:
            return parameter.fixed
        if parameter.definition is not None:
            return float(self.expression(parameter.definition, 1)[0])
        return self.parameters[name]

    # -------------------------------------------------------------- pieces of the density
    def fitted(self, k: int, category: int | None = None) -> Array:
        """Linear predictor of an equation (of the logit of a category) with its random effects."""
        equation = self.model.equations[k]
        mode = self.modes.get(k, "exact")
        terms = [self.expression(term.expression, equation.level, mode) for term in equation.terms]
        own = [t.category == category for t in equation.terms]
        total = np.zeros(self.model.hierarchy.units[equation.level - 1])
        for term, x, mine in zip(equation.terms, terms, own, strict=True):
            if mine:
                total = total + self.coefficient(term.coefficient) * x
        for group in equation.random:
            if own[group.terms[0]]:
                for effect, t in zip(self.effects[k, category, group.level], group.terms, strict=True):
                    total = total + self.spread(effect, equation.level, group.level) * terms[t]
        return total

    def categories(self, k: int) -> list[int | None]:
        """Codes that an equation has logits for, or None alone."""
        return list(dict.fromkeys(term.category for term in self.model.equations[k].terms))

    def log_choices(self, k: int) -> Array:
        """Log probability of the category of each unit of a nominal outcome."""
        equation, codes = self.model.equations[k], self.categories(k)
        logits = {code: self.fitted(k, code) for code in codes}
        total = np.log(1.0 + sum(np.exp(eta) for eta in logits.values()))
        values = self.data[equation.outcome]
        return sum((values == code) * eta for code, eta in logits.items()) - total

    def log_outcomes(self) -> float:
        """Outcomes given everything else, for the units that count."""
        total = sum(float(self.log_correlated(members).sum()) for members in self.covariances)
        correlated = {k for members in self.covariances for k in members}
        for k, equation in enumerate(self.model.equations):
            if k in correlated:
                continue
            on = self.active[k]
            codes = self.categories(k)
            form = next((code for code in codes if (k, code) in self.forms), None)
            if len(codes) > 1 and form is None:
                total += float(np.sum(self.log_choices(k)[on]))
                continue
            form = codes[0] if len(codes) == 1 else form
            if (k, form) in self.working:
                response, precision = self.working[k, form]
                total -= 0.5 * float(np.sum((precision * (response - self.fitted(k, form)) ** 2)[on]))
                continue
            if equation.distribution.name == "LOG_VARIANCE":
                continue
            left = self.left(k, self.data[equation.outcome])
            total += (
                log_normal(left[on], self.fitted(k)[on], self.variance(k)[on]) + self.log_slope(k)[on].sum()
            )
        return total

    def log_correlated(self, members: tuple[int, ...]) -> Array:
        """Log density of equations with correlated residuals, latent responses where an outcome is categorical."""
        deviations, total = [], 0.0
        for k in members:
            outcome = self.data[self.model.equations[k].outcome]
            left = self.working[k, None][0] if (k, None) in self.working else self.left(k, outcome)
            variance = self.variance(k) if self.has_log_variance(k) else np.ones(left.size)
            deviations.append((left - self.fitted(k)) / np.sqrt(variance))
            total = total - 0.5 * np.log(variance)
        law = stats.multivariate_normal(np.zeros(len(members)), self.covariances[members])
        return total + np.atleast_1d(law.logpdf(np.stack(deviations, axis=1)))

    def has_log_variance(self, k: int) -> bool:
        """Does the residual variance of an equation have an equation of its own."""
        return any(
            other.distribution.name == "LOG_VARIANCE" and other.outcome == self.model.equations[k].outcome
            for other in self.model.equations
        )

    def left(self, k: int, values: Array) -> Array:
        """What is normal around an equation's linear predictor, from values of its outcome."""
        equation = self.model.equations[k]
        other = Values(self.model)
        other.data = {**self.data, equation.outcome: values}
        left = other.expression(equation.left, equation.level, True)
        if equation.distribution.name != "YEO_JOHNSON":
            return left
        return stats.yeojohnson(left, self.parameters[f"{equation.title} lambda"])

    def log_slope(self, k: int) -> Array:
        """Log of the derivative of `left` at the outcome's values, by central differences."""
        y = self.data[self.model.equations[k].outcome]
        step = 1e-5
        return np.log(np.abs(self.left(k, y + step) - self.left(k, y - step)) / (2.0 * step))

    def variance(self, k: int) -> Array:
        """Residual variance of every unit of an equation."""
        equation = self.model.equations[k]
        if k in self.cluster_variances:
            return self.spread(self.cluster_variances[k], equation.level, 2)
        for v, other in enumerate(self.model.equations):
            if other.distribution.name == "LOG_VARIANCE" and other.outcome == equation.outcome:
                return np.exp(self.fitted(v))
        return np.full(self.active[k].size, self.coefficient(equation.residual)) / self.weights(
            equation.level
        )

    def weights(self, level: int) -> Array:
        """Sampling weights of rows: scaled to sum to the size of their cluster, times that of the cluster."""
        n = self.model.hierarchy.units[level - 1]
        total = np.ones(n)
        if level > 1:
            return total
        clusters = (
            self.model.hierarchy.ancestors(1, 2) if self.model.hierarchy.levels > 1 else np.zeros(n, int)
        )
        for name in self.model.weights:
            variable = self.model.variables[name]
            values = self.spread(variable.values, 1, variable.level)
            if variable.level == 1:
                values = np.array(
                    [w / values[clusters == c].mean() for w, c in zip(values, clusters, strict=True)]
                )
            total = total * values
        return total / total.mean()

    def log_effects(self) -> float:
        """Random effects given their covariance matrices."""
        total = 0.0
        for key, effects in self.effects.items():
            law = stats.multivariate_normal(np.zeros(len(effects)), self.matrices[key])
            total += float(np.sum(law.logpdf(effects.T)))
        return total

    def log_priors(self) -> float:
        """Coefficients; variances and matrices stay as they are where this is used."""
        total = 0.0
        for name, value in self.parameters.items():
            prior = self.model.parameters[name].prior
            if prior.family.name == "NORMAL":
                total += log_normal(value, prior.arguments[0], prior.arguments[1])
        return total

    def within(self, reference, level: int) -> Array:
        """A predictor's deviation or cluster mean at a level, less its part above."""
        name = reference.variable
        variable = self.model.variables[name]
        if variable.role.name == "FIXED":
            return self.reference(reference, level, False)
        levels = next([p.level for p in m.parts] for m in self.model.predictor_models if m.variable == name)
        if variable.kind.name == "NOMINAL":
            name = f"{name}.{reference.argument}"
        own = self.response(name) if variable.level == level else self.means[name, level]
        return own - self.above(name, levels, level)

    def response(self, name: str) -> Array:
        """What a predictor model explains: the value or the latent response."""
        return self.responses.get(name, self.data.get(name))

    def above(self, name: str, levels: list[int], level: int) -> Array | float:
        """The part of a predictor above a level: its next cluster mean, or its grand mean."""
        higher = [other for other in levels if other > level]
        return self.spread(self.means[name, higher[0]], level, higher[0]) if higher else self.grand[name]

    def predictor_mean(self, name: str, part: int) -> Array:
        """Mean of one part of a predictor model."""
        found = next(m for m in self.model.predictor_models if m.variable == name.split(".")[0])
        level = found.parts[part].level
        mean = self.above(name, [p.level for p in found.parts], level)
        for slope, reference in zip(self.slopes[name, part], found.parts[part].predictors, strict=True):
            mean = mean + slope * self.within(reference, level)
        return mean

    def log_nominal(self, name: str) -> float:
        """A nominal predictor's own model: latent responses with variances 1 and covariances 1/2."""
        variable = self.model.variables[name]
        found = next(m for m in self.model.predictor_models if m.variable == name)
        names = [f"{name}.{code}" for code in variable.codes if code != variable.reference]
        deviations = np.stack([self.responses[each] - self.predictor_mean(each, 0) for each in names])
        matrix = 0.5 * (np.eye(len(names)) + 1.0)
        law = stats.multivariate_normal(np.zeros(len(names)), matrix)
        total = float(np.sum(law.logpdf(deviations.T)))
        for each in names:
            for k, part in enumerate(found.parts):
                total += log_normal(np.asarray(self.slopes[each, k]), 0.0, 5.0)
                if k:
                    mean, variance = self.predictor_mean(each, k), self.residuals[each, k]
                    total += log_normal(self.means[each, part.level], mean, variance)
            total += log_normal(self.grand[each], 0.0, 5.0)
        return total

    def log_predictor(self, name: str) -> float:
        """A predictor's own model with the priors of its coefficients (round-robin: no other predictor's)."""
        if self.model.variables[name].kind.name == "NOMINAL":
            return self.log_nominal(name)
        found = next(m for m in self.model.predictor_models if m.variable == name)
        total = 0.0
        for k, part in enumerate(found.parts):
            own = self.response(name) if k == 0 else self.means[name, part.level]
            total += log_normal(own, self.predictor_mean(name, k), self.residuals[name, k])
            if self.model.variables[name].kind.name == "ORDINAL":
                total += log_normal(np.asarray(self.slopes[name, k]), 0.0, 5.0)
        if self.model.variables[name].kind.name == "ORDINAL":
            total += log_normal(self.grand[name], 0.0, 5.0)
        return total

    def log_joint(self, predictors: Sequence[str]) -> float:
        """Joint log density with the models of some predictors."""
        total = self.log_outcomes() + self.log_effects() + self.log_priors()
        return total + sum(self.log_predictor(name) for name in predictors)
