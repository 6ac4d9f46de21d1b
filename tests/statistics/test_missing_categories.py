"""Missing nominal and count variables, and missing predictors of nominal outcomes, against exact posteriors.

The missing values of small data are summed or integrated out by hand, and the parameters that remain are weighted
against a t distribution around the mode (`exact_families`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import naive
import numpy as np
import pytest
from exact_families import Posterior, weighted_points
from latent_models import Fit, fit
from rates import critical
from scipy import special, stats
from toys import Columns, generator

Array = np.ndarray

BOUND = critical(39)  # Monte Carlo errors by batch means have 39 degrees of freedom
CATEGORICAL = 5.0  # prior variance of the coefficients of categorical variables
NODES, NODE_WEIGHTS = special.roots_hermitenorm(40)
NODE_WEIGHTS = NODE_WEIGHTS / NODE_WEIGHTS.sum()
CHUNK = 2000


@dataclass(frozen=True)
class Case:
    """`log_density` of parameters (points, d) on unbounded scales, `natural` turns them into those of the draws."""

    script: str
    columns: Columns
    names: tuple[str, ...]
    log_density: Callable[[Array], Array]
    natural: Callable[[Array], Array]
    start: Array
    drawn: Callable[[Fit], dict[str, Array]]
    draws: int = 12_000

    def posterior(self, points: int) -> Posterior:
        def density(theta: Array) -> Array:
            return np.concatenate(
                [self.log_density(theta[k : k + CHUNK]) for k in range(0, len(theta), CHUNK)]
            )

        theta, weights = weighted_points(density, self.start, points, np.random.default_rng(23))
        return Posterior(self.names, self.natural(theta), weights)


# ------------------------------------------------------------------ pieces of densities, (points, ...)
def log_normal(x: Array, mean: Array, log_variance: Array) -> Array:
    return -0.5 * (np.log(2.0 * np.pi) + log_variance + np.square(x - mean) * np.exp(-log_variance))


def log_softmax(logits: Array) -> Array:
    """Log probabilities of all categories from those of all but the first, (..., categories - 1)."""
    whole = np.concatenate([np.zeros_like(logits[..., :1]), logits], axis=-1)
    return whole - special.logsumexp(whole, axis=-1, keepdims=True)


def log_probit(responses: Array) -> Array:
    """Log probabilities that each of 0 and normal responses with covariances 1/2 (1 with itself) is the largest.

    Differences of independent utilities with variance 1/2, integrated over the utility of the category itself.
    """
    utilities = np.concatenate([np.zeros_like(responses[..., :1]), responses], axis=-1) * np.sqrt(2.0)
    found = []
    for k in range(utilities.shape[-1]):
        gaps = utilities[..., k, None] - np.delete(utilities, k, axis=-1)
        below = stats.norm.cdf(gaps[..., None] + NODES).prod(axis=-2)
        found.append(np.log(below @ NODE_WEIGHTS))
    return np.stack(found, axis=-1)


def linear(theta: Array, x: Array) -> Array:
    """Two linear predictors with an intercept and one slope each, (points, rows, 2); theta: a1 b1 a2 b2."""
    first = theta[:, 0, None] + theta[:, 1, None] * x
    return np.stack([first, theta[:, 2, None] + theta[:, 3, None] * x], axis=-1)


def chosen(table: Array, places: Array) -> Array:
    """Sum over rows of a table's (points, rows, categories) entries at known places; missing (-1) rows give all."""
    seen = places >= 0
    return table[:, np.flatnonzero(seen), places[seen]].sum(axis=1)


def coefficients(found: Fit, equation: int) -> dict[str, Array]:
    draws = found.draws.equations[equation].coefficients[:, found.draws.burn :]
    return {f"{equation} {k}": draws[..., k] for k in range(draws.shape[-1])}


def of_responses(found: Fit) -> dict[str, Array]:
    """Grand means and first slopes of the latent responses of predictors."""
    named = {}
    for k, draws in enumerate(found.draws.predictors):
        named[f"grand {k}"] = draws.grand_mean[:, found.draws.burn :]
        named[f"slope {k}"] = draws.parts[0].slopes[:, found.draws.burn :, 0]
    return named


def residual(found: Fit, equation: int) -> Array:
    return found.draws.equations[equation].residual[:, found.draws.burn :]


def with_variance(theta: Array) -> Array:
    return np.column_stack([theta[:, :-1], np.exp(theta[:, -1])])


# ------------------------------------------------------------------ models
def nominal_predictor() -> Case:
    """y ~ n x, n with three categories and missing values: multinomial probit on x."""
    rng = generator(301)
    n = 60
    x = rng.integers(-2, 3, n) / 2.0
    noise = rng.normal(size=(3, n)) * np.sqrt(0.5)
    category = np.argmax(np.stack([0.0 * x, 0.3 + 0.8 * x, -0.2 - 0.5 * x]) + noise, axis=0)
    y = 0.5 * x + np.array([0.0, 1.2, -0.8])[category] + 0.8 * rng.normal(size=n)
    missing = rng.random(n) < 0.25
    places = np.where(missing, -1, category)

    def log_density(theta: Array) -> Array:
        probit = log_probit(linear(theta, x - x.mean()))
        b, log_variance = theta[:, 4:8], theta[:, 8, None, None]
        effects = np.stack([0.0 * b[:, 1], b[:, 1], b[:, 2]], axis=-1)[:, None]
        mean = b[:, 0, None, None] + b[:, 3, None, None] * x[:, None] + effects
        both = probit + log_normal(y[:, None], mean, log_variance)
        total = chosen(both, places) + special.logsumexp(both[:, missing], axis=-1).sum(axis=1)
        return total - 0.5 * np.square(theta[:, :4]).sum(axis=1) / CATEGORICAL + theta[:, 8]  # flat variance

    def drawn(found: Fit) -> dict[str, Array]:
        return of_responses(found) | coefficients(found, 0) | {"variance": residual(found, 0)}

    names = ("grand 0", "slope 0", "grand 1", "slope 1", "0 0", "0 1", "0 2", "0 3", "variance")
    columns = {"x": x, "y": y, "n": np.where(missing, np.nan, category + 1.0)}
    start = np.array([0.0, 0.5, 0.0, -0.5, 0.0, 1.0, -1.0, 0.5, -0.5])
    script = "NOMINAL: n; FIXED: x; MODEL: y ~ n x;"
    return Case(script, columns, names, log_density, with_variance, start, drawn, draws=60_000)


def predictor_of_a_nominal_outcome() -> Case:
    """q ~ x, three categories, x with missing values."""
    rng = generator(302)
    n = 60
    x = 1.0 + rng.normal(size=n)
    eta = np.stack([0.0 * x, 0.3 + 1.0 * x, 0.5 - 1.2 * x])
    category = np.argmax(eta + rng.gumbel(size=eta.shape), axis=0)
    missing = rng.random(n) < 0.25

    def log_density(theta: Array) -> Array:
        mean, log_variance = theta[:, 4, None], theta[:, 5, None]
        seen = chosen(log_softmax(linear(theta, x[~missing])), category[~missing])
        seen = seen + log_normal(x[~missing], mean, log_variance).sum(axis=1)
        nodes = mean + np.exp(0.5 * log_variance) * NODES
        logits = np.stack(
            [theta[:, 2 * k, None] + theta[:, 2 * k + 1, None] * nodes for k in range(2)], axis=-1
        )
        each = np.log(np.einsum("pnc,n->pc", np.exp(log_softmax(logits)), NODE_WEIGHTS))
        total = seen + each[:, category[missing]].sum(axis=1)
        total = total - 0.5 * np.square(theta[:, :4]).sum(axis=1) / CATEGORICAL
        return total - theta[:, 5] - 0.5 * np.exp(-theta[:, 5])  # IG(1, 1/2) of the predictor's variance

    def drawn(found: Fit) -> dict[str, Array]:
        (draws,), burn = found.draws.predictors, found.draws.burn
        own = {"mean": draws.grand_mean[:, burn:], "variance": draws.parts[0].residual[:, burn:]}
        return coefficients(found, 0) | own

    names = ("0 0", "0 1", "0 2", "0 3", "mean", "variance")
    columns = {"x": np.where(missing, np.nan, x), "q": category + 1.0}
    start = np.array([0.3, 1.0, 0.5, -1.2, 1.0, 0.0])
    return Case("NOMINAL: q; MODEL: q ~ x;", columns, names, log_density, with_variance, start, drawn)


def nominal_outcome_as_a_predictor() -> Case:
    """y ~ q, q ~ x, three categories, q with missing values."""
    rng = generator(303)
    n = 60
    x = rng.integers(-2, 3, n) / 2.0
    eta = np.stack([0.0 * x, 0.3 + 1.0 * x, 0.2 - 0.8 * x])
    category = np.argmax(eta + rng.gumbel(size=eta.shape), axis=0)
    y = np.array([0.0, 1.0, -1.0])[category] + 0.8 * rng.normal(size=n)
    missing = rng.random(n) < 0.25
    places = np.where(missing, -1, category)

    def log_density(theta: Array) -> Array:
        b, log_variance = theta[:, 4:7], theta[:, 7, None, None]
        mean = b[:, 0, None] + np.stack([0.0 * b[:, 1], b[:, 1], b[:, 2]], axis=-1)
        both = log_softmax(linear(theta, x)) + log_normal(y[:, None], mean[:, None], log_variance)
        total = chosen(both, places) + special.logsumexp(both[:, missing], axis=-1).sum(axis=1)
        return total - 0.5 * np.square(theta[:, :4]).sum(axis=1) / CATEGORICAL + theta[:, 7]

    def drawn(found: Fit) -> dict[str, Array]:
        return coefficients(found, 0) | coefficients(found, 1) | {"variance": residual(found, 1)}

    names = ("0 0", "0 1", "0 2", "0 3", "1 0", "1 1", "1 2", "variance")
    columns = {"x": x, "y": y, "q": np.where(missing, np.nan, category + 1.0)}
    start = np.array([0.3, 1.0, 0.2, -0.8, 0.0, 1.0, -1.0, -0.5])
    script = "NOMINAL: q; FIXED: x; MODEL: q ~ x; y ~ q;"
    return Case(script, columns, names, log_density, with_variance, start, drawn)


def count_outcome_as_a_predictor() -> Case:
    """y ~ c, c ~ x, negative binomial, c with missing values."""
    rng = generator(304)
    n = 60
    x = rng.integers(-2, 3, n) / 2.0
    counts = rng.poisson(np.exp(0.6 + 0.5 * x) * 0.5 * rng.standard_gamma(2.0, n))
    y = 0.3 * counts + 0.8 * rng.normal(size=n)
    missing = rng.random(n) < 0.25
    places = np.where(missing, -1, counts)
    grid = np.arange(200.0)

    def log_density(theta: Array) -> Array:
        eta, log_alpha = theta[:, 0, None] + theta[:, 1, None] * x, theta[:, 2, None, None]
        size, mean = np.exp(-log_alpha), np.exp(eta)[..., None]
        both = special.gammaln(grid + size) - special.gammaln(size) - special.gammaln(grid + 1.0)
        both = both + size * np.log(size) + grid * eta[..., None] - (grid + size) * np.log(size + mean)
        fitted = theta[:, 3, None, None] + theta[:, 4, None, None] * grid
        both = both + log_normal(y[:, None], fitted, theta[:, 5, None, None])
        total = chosen(both, places) + special.logsumexp(both[:, missing], axis=-1).sum(axis=1)
        return total - 0.05 * np.square(theta[:, 2]) + theta[:, 5]  # log dispersion: N(0, 10)

    def drawn(found: Fit) -> dict[str, Array]:
        own = {"alpha": residual(found, 0), "variance": residual(found, 1)}
        return coefficients(found, 0) | coefficients(found, 1) | own

    def natural(theta: Array) -> Array:
        return np.column_stack([theta[:, :2], np.exp(theta[:, 2]), theta[:, 3:5], np.exp(theta[:, 5])])

    names = ("0 0", "0 1", "alpha", "1 0", "1 1", "variance")
    columns = {"x": x, "y": y, "c": np.where(missing, np.nan, counts)}
    start = np.array([0.6, 0.5, -0.7, 0.0, 0.3, -0.5])
    script = "COUNT: c; FIXED: x; MODEL: c ~ x; y ~ c;"
    return Case(script, columns, names, log_density, natural, start, drawn)


def nominal_predictor_of_a_log_variance() -> Case:
    """y ~ x, log variance of y on n, three categories, n with missing values: multinomial probit on x."""
    rng = generator(306)
    n = 80
    x = rng.integers(-2, 3, n) / 2.0
    noise = rng.normal(size=(3, n)) * np.sqrt(0.5)
    category = np.argmax(np.stack([0.0 * x, 0.3 + 0.8 * x, -0.2 - 0.5 * x]) + noise, axis=0)
    y = 0.5 * x + np.exp(np.array([-0.5, 0.5, 0.0])[category]) * rng.normal(size=n)
    missing = rng.random(n) < 0.25
    places = np.where(missing, -1, category)

    def log_density(theta: Array) -> Array:
        probit = log_probit(linear(theta, x - x.mean()))
        mean = theta[:, 4, None] + theta[:, 5, None] * x
        c = theta[:, 6:9]
        log_variance = c[:, :1] + np.stack([0.0 * c[:, 0], c[:, 1], c[:, 2]], axis=-1)
        both = probit + log_normal(y[:, None], mean[..., None], log_variance[:, None])
        total = chosen(both, places) + special.logsumexp(both[:, missing], axis=-1).sum(axis=1)
        return total - 0.5 * np.square(theta[:, :4]).sum(axis=1) / CATEGORICAL

    def drawn(found: Fit) -> dict[str, Array]:
        return of_responses(found) | coefficients(found, 0) | coefficients(found, 1)

    names = ("grand 0", "slope 0", "grand 1", "slope 1", "0 0", "0 1", "1 0", "1 1", "1 2")
    columns = {"x": x, "y": y, "n": np.where(missing, np.nan, category + 1.0)}
    start = np.array([0.0, 0.5, 0.0, -0.5, 0.0, 0.5, -1.0, 2.0, 1.0])
    script = "NOMINAL: n; FIXED: x; MODEL: y ~ x; var(y) ~ n;"
    return Case(script, columns, names, log_density, lambda theta: theta, start, drawn, draws=12_000)


def binary_outcome_in_mean_and_log_variance() -> Case:
    """d ~ x, probit, d with missing values; mean and log variance of y on d."""
    rng = generator(307)
    n = 80
    x = rng.integers(-2, 3, n) / 2.0
    category = (0.2 + 0.7 * x + rng.normal(size=n) > 0.0).astype(int)
    y = 0.8 * category + np.exp(0.6 * category - 0.5) * rng.normal(size=n)
    missing = rng.random(n) < 0.25
    places = np.where(missing, -1, category)

    def log_density(theta: Array) -> Array:
        eta = theta[:, 0, None] + theta[:, 1, None] * x
        probit = np.stack([stats.norm.logcdf(-eta), stats.norm.logcdf(eta)], axis=-1)
        code = np.arange(2.0)
        mean = theta[:, 2, None] + theta[:, 3, None] * code
        log_variance = theta[:, 4, None] + theta[:, 5, None] * code
        both = probit + log_normal(y[:, None], mean[:, None], log_variance[:, None])
        total = chosen(both, places) + special.logsumexp(both[:, missing], axis=-1).sum(axis=1)
        return total - 0.5 * np.square(theta[:, :2]).sum(axis=1) / CATEGORICAL

    def drawn(found: Fit) -> dict[str, Array]:
        return coefficients(found, 0) | coefficients(found, 1) | coefficients(found, 2)

    names = ("0 0", "0 1", "1 0", "1 1", "2 0", "2 1")
    columns = {"x": x, "y": y, "d": np.where(missing, np.nan, category)}
    start = np.array([0.2, 0.7, 0.0, 0.8, -1.0, 1.2])
    script = "ORDINAL: d; FIXED: x; MODEL: d ~ x; y ~ d; var(y) ~ d;"
    return Case(script, columns, names, log_density, lambda theta: theta, start, drawn)


CASES = {
    "nominal predictor of a log variance": nominal_predictor_of_a_log_variance,
    "binary outcome in mean and log variance": binary_outcome_in_mean_and_log_variance,
    "nominal predictor": nominal_predictor,
    "predictor of a nominal outcome": predictor_of_a_nominal_outcome,
    "nominal outcome as a predictor": nominal_outcome_as_a_predictor,
    "count outcome as a predictor": count_outcome_as_a_predictor,
}


@pytest.mark.parametrize("name", CASES)
def test_exact_posterior(name):
    """Means and mean squared deviations of all parameters agree within Monte Carlo error, which is small."""
    case = CASES[name]()
    found = fit(case.script, case.columns, burn=1000, draws=case.draws)
    draws, exact = case.drawn(found), case.posterior(10_000)
    assert exact.effective > 3000
    assert set(draws) == set(exact.names)
    for parameter in exact.names:
        own, points = draws[parameter], exact.of(parameter)
        mean, error = exact.mean(points)
        own_error = naive.batch_error(own)
        assert own_error < 0.06 * exact.sd(parameter), parameter
        assert abs(own.mean() - mean) < BOUND * np.hypot(own_error, error), parameter
        square, square_error = exact.mean(np.square(points - mean))
        own_squares = np.square(own - mean)
        bound = BOUND * np.hypot(naive.batch_error(own_squares), square_error)
        assert abs(own_squares.mean() - square) < bound, parameter


# ------------------------------------------------------------------ simulated data
def holed(columns: Columns, rng: np.random.Generator, names: tuple[str, ...]) -> Columns:
    """15 % missing values, completely at random."""
    n = len(next(iter(columns.values())))
    return {k: np.where(rng.random(n) < 0.15, np.nan, v) if k in names else v for k, v in columns.items()}


def clustered(seed: int, clusters: int = 80, size: int = 10) -> tuple[Columns, dict[str, list[float]]]:
    """A nominal n and a nominal outcome q of it, in clusters, with the coefficients that made y and q."""
    rng = generator(seed)
    g = np.repeat(np.arange(clusters), size)
    x = 0.6 * rng.normal(size=clusters)[g] + rng.normal(size=g.size)
    noise = np.sqrt(0.5) * rng.normal(size=(3, g.size))
    responses = np.stack([0.0 * x, 0.2 + 0.7 * x, -0.4 * x]) + noise
    n = responses.argmax(axis=0)
    b = {"y": [1.0, 0.5, 0.8, -0.6], "q.2": [0.2, 0.6, 0.7, -0.5], "q.3": [-0.1, -0.5, 0.5, 0.4]}
    design = np.column_stack([np.ones(g.size), x, n == 1, n == 2])
    y = design @ b["y"] + 0.7 * rng.normal(size=clusters)[g] + rng.normal(size=g.size)
    logits = np.stack([np.zeros(g.size), design @ b["q.2"], design @ b["q.3"]])
    q = (logits + rng.gumbel(size=logits.shape)).argmax(axis=0)
    columns = {"g": g.astype(float), "x": x, "y": y, "n": n + 1.0, "q": q + 1.0}
    return holed(columns, rng, ("x", "n", "q")), b


def test_recovery_with_missing_values():
    """True coefficients lie within 4 posterior SDs, draws mix, and imputed categories are codes."""
    columns, truth = clustered(305)
    script = "MISSING: NA; CLUSTERID: g; NOMINAL: n q; MODEL: y ~ x n; q ~ x n; NIMPS: 2;"
    found = fit(script, columns, burn=1000, draws=4000)
    assert [e.outcome for e in found.planned.model.equations] == ["q", "y"]
    drawn = {"y": coefficients(found, 1)}
    both = found.draws.equations[0].coefficients[:, found.draws.burn :]
    terms = found.planned.model.equations[0].terms
    for code in (2, 3):
        places = [t for t, term in enumerate(terms) if term.category == code]
        drawn[f"q.{code}"] = {str(k): both[..., place] for k, place in enumerate(places)}
    for name, values in truth.items():
        for (label, draws), value in zip(drawn[name].items(), values, strict=True):
            assert abs(draws.mean() - value) < 4.0 * draws.std(), (name, label)
            assert naive.batch_error(draws) < 0.2 * draws.std(), (name, label)
    assert len(found.draws.snapshots) == 2
    for snapshot in found.draws.snapshots:
        for name in ("n", "q"):
            assert set(np.unique(snapshot.values[name])) == {1.0, 2.0, 3.0}
            seen = ~np.isnan(columns[name])
            np.testing.assert_array_equal(snapshot.values[name][seen], columns[name][seen])


def test_rows_of_a_nominal_predictor():
    columns, _ = clustered(306, clusters=20, size=5)
    script = "MISSING: NA; CLUSTERID: g; NOMINAL: n; MODEL: y ~ x n; OPTIONS: savelatent; NIMPS: 1;"
    found = fit(script, columns, burn=5, draws=20)
    tables = {table.name: table for table in found.document.predictor_tables}
    assert [(row.section, row.label) for row in tables["n"].rows] == [
        (None, "Grand Mean: n.2"),
        (None, "Grand Mean: n.3"),
        ("Level 1", "n.2 ~ x"),
        ("Level 1", "n.3 ~ x"),
        ("Level 1", "Var(n.2)"),
        ("Level 1", "Cov(n.3,n.2)"),
        ("Level 1", "Var(n.3)"),
        ("Level 2", "n.2 ~ x"),
        ("Level 2", "n.3 ~ x"),
        ("Level 2", "Var(n.2)"),
        ("Level 2", "Var(n.3)"),
    ]
    known = {row.label: row.estimate for row in tables["n"].rows if row.section == "Level 1"}
    assert (known["Var(n.2)"], known["Cov(n.3,n.2)"], known["Var(n.3)"]) == (1.0, 0.5, 1.0)
    assert [row.label for row in tables["x"].rows if row.section == "Level 1"][:2] == ["n.2", "n.3"]
    (snapshot,) = found.draws.snapshots
    responses = np.stack([np.zeros(100), snapshot.added["n.2.latent"], snapshot.added["n.3.latent"]])
    np.testing.assert_array_equal(responses.argmax(axis=0) + 1.0, snapshot.values["n"])
    assert {"n.2.mean[g]", "n.3.mean[g]"} <= set(snapshot.added)


def test_probabilities_of_the_multinomial_probit():
    """Against the shares of simulated largest responses."""
    responses = np.array([0.4, -0.7])
    rng = np.random.default_rng(3)
    noise = rng.multivariate_normal(np.zeros(2), 0.5 * (np.eye(2) + 1.0), 400_000)
    largest = np.column_stack([np.zeros(len(noise)), responses + noise]).argmax(axis=1)
    shares = np.bincount(largest) / len(noise)
    found = np.exp(log_probit(responses))
    np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-8)
    assert (np.abs(shares - found) < critical() * np.sqrt(found * (1.0 - found) / len(noise))).all()
