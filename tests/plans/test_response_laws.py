"""Responses given categories and linear predictors, and missing categories, against their exact laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rates import ALPHA, critical
from scipy import stats
from test_joint_density import values_of
from toys import Columns, Running, at_step, generator, plan_of, steps_of, two_level

from mlbayes.plan import plan as p

Array = np.ndarray
HEAD = "DATA: t; MISSING: NA; FIXED: x z; "
REPEATS = 60


def table() -> Columns:
    """Ordinal a (4 categories) and binary e with missing values, a count n; y and m that depend on them."""
    columns = two_level(14)
    rng = generator(14)
    n = columns["x"].size
    response = 0.8 * columns["x"] + rng.normal(size=n)
    columns["a"] = np.searchsorted((-0.6, 0.2, 1.1), response).astype(float)
    columns["e"] = (response + rng.normal(size=n) > 0.0).astype(float)
    columns["n"] = rng.poisson(np.exp(0.3 + 0.5 * columns["x"])).astype(float)
    columns["y"] = 0.4 * columns["a"] + rng.normal(size=n)
    columns["m"] = 0.5 * response + rng.normal(size=n)
    for name in ("a", "e"):
        columns[name][rng.random(n) < 0.2] = np.nan
    return columns


MODELS = {
    "probit": "ORDINAL: a; MODEL: a ~ x;",
    "probit, predictor": "ORDINAL: a; MODEL: a ~ x; y ~ a z;",
    "probit, binary predictor": "ORDINAL: e; MODEL: e ~ x; y ~ e z; m ~ e x;",
    "probit, residual covariance": "ORDINAL: a; MODEL: a ~ x; m ~ x; a ~~ m;",
    "probit, latent response elsewhere": "ORDINAL: a; MODEL: a ~ x; y ~ a.latent z;",
    "predictor": "ORDINAL: a; MODEL: y ~ a z;",
    "ordered logit": "ORDINAL: a; MODEL: logit(a) ~ x;",
    "ordered logit, predictor": "ORDINAL: a; MODEL: logit(a) ~ x; y ~ a z;",
    "binary logit": "ORDINAL: e; MODEL: logit(e) ~ x;",
    "binary logit, predictor": "ORDINAL: e; MODEL: logit(e) ~ x; y ~ e z;",
    "count": "COUNT: n; MODEL: n ~ x;",
}
PLANS = {name: plan_of(HEAD + text, table()) for name, text in MODELS.items()}


class Responses:
    """A chain right before the responses of one variable are drawn, which is done over and over from there."""

    def __init__(self, name: str) -> None:
        self.planned = PLANS[name]
        self.number = steps_of(self.planned, p.STEP_RESPONSES)[0]
        self.running: Running = at_step(self.planned, self.number, sweeps=5)
        self.row = self.planned.plan.responses[self.planned.plan.steps[self.number, 1]]
        self.units = int(self.row[p.RESPONSE_UNITS])
        self.kind = int(self.row[p.RESPONSE_KIND])

    @property
    def store(self) -> Array:
        return self.running.store

    def vector(self, field: int, default: float = 0.0) -> Array:
        at = self.row[field]
        return self.store[at : at + self.units].copy() if at >= 0 else np.full(self.units, default)

    @property
    def cuts(self) -> Array:
        inner = self.store[self.row[p.RESPONSE_CUTS] :][: self.row[p.RESPONSE_CATEGORIES] - 1]
        return np.concatenate([[-np.inf], inner, [np.inf]])

    @property
    def cells(self) -> Array:
        index, row = self.planned.plan.index, self.row
        return index[row[p.RESPONSE_CELLS] :][: row[p.RESPONSE_CELL_COUNT]]

    def draws(self, count: int) -> tuple[Array, Array, Array]:
        """Codes, responses and roots of precisions, each of shape (count, units)."""
        found = []
        for _ in range(count):
            self.running.step(self.number)
            fields = (p.RESPONSE_CODE, p.RESPONSE_VALUE, p.RESPONSE_ROOT)
            found.append([self.vector(field, 1.0) for field in fields])
        codes, values, roots = np.array(found).transpose(1, 0, 2)
        return codes, values, roots


def having(*kinds: int) -> list[str]:
    """Models whose first step of responses is of some kinds."""
    found = []
    for name, planned in PLANS.items():
        row = planned.plan.responses[planned.plan.steps[steps_of(planned, p.STEP_RESPONSES)[0], 1]]
        if row[p.RESPONSE_KIND] in kinds:
            found.append(name)
    return found


def interval_p_values(law: Responses, law_mean: Array, law_sd: Array) -> list[float]:
    """Places of responses within their categories, which are uniform, and that they are independent of the category."""
    codes, values, _ = law.draws(REPEATS)
    on = codes[0] >= 0.0
    places = codes[:, on].astype(int)
    cdf = stats.norm.cdf if law.kind == p.RESPONSE_NORMAL else stats.logistic.cdf
    z = (values[:, on] - law_mean[on]) / law_sd[on]
    lower, upper = ((law.cuts[places + k] - law_mean[on]) / law_sd[on] for k in (0, 1))
    assert ((lower <= z) & (z <= upper)).all()
    share = (cdf(z) - cdf(lower)) / (cdf(upper) - cdf(lower))
    return [
        float(stats.kstest(share.ravel(), "uniform").pvalue),
        float(stats.kstest(share.mean(axis=1), stats.norm(0.5, np.sqrt(1.0 / 12.0 / on.sum())).cdf).pvalue),
    ]


@pytest.mark.parametrize("name", having(p.RESPONSE_NORMAL, p.RESPONSE_LOGISTIC))
def test_responses_lie_between_thresholds_as_they_should(name):
    law = Responses(name)
    mean, sd = law.vector(p.RESPONSE_MEAN), law.vector(p.RESPONSE_SD, 1.0)
    assert min(interval_p_values(law, mean, sd)) > ALPHA


@pytest.mark.parametrize("name", ["probit", "probit, residual covariance", "ordered logit"])
def test_a_wrong_mean_of_responses_is_seen(name):
    law = Responses(name)
    assert (
        min(interval_p_values(law, law.vector(p.RESPONSE_MEAN) + 0.8, law.vector(p.RESPONSE_SD, 1.0))) < ALPHA
    )


def expected_moments(law: Responses) -> tuple[Array, Array]:
    """Mean and SD of each response before its category is known, from the values of the model graph."""
    planned, values = law.planned, values_of(law.planned, law.store)
    regressions = {r.equation.outcome: r for r in planned.regressions.outcomes}
    r = regressions["a"]
    eta = values.fitted(r.planned.source)
    if r.covariance:
        (c,) = planned.regressions.covariances
        lower = np.zeros((2, 2))
        lower[np.tril_indices(2)] = law.store[c.factor : c.factor + 3]
        s = lower @ lower.T
        i = c.members.index(r.number)
        other = values.data["m"] - values.fitted(regressions["m"].planned.source)
        assert s[i, i] == pytest.approx(1.0)
        slope = s[0, 1] / s[1 - i, 1 - i]
        return eta + slope * other, np.full(eta.size, np.sqrt(1.0 - slope * s[0, 1]))
    y = regressions["y"]  # its residual given the response is y - rest - b response
    b = values.parameters["y ~ a.latent"]
    rest = (
        values.data["y"] - values.parameters["y ~ Intercept"] - values.parameters["y ~ z"] * values.data["z"]
    )
    variance = values.parameters[y.equation.residual]
    precision = 1.0 + b * b / variance
    return (eta + b * rest / variance) / precision, np.full(eta.size, precision**-0.5)


@pytest.mark.parametrize("name", ["probit, residual covariance", "probit, latent response elsewhere"])
def test_means_of_responses_count_all_their_equations(name):
    law = Responses(name)
    mean, sd = expected_moments(law)
    np.testing.assert_allclose(law.vector(p.RESPONSE_MEAN), mean, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(law.vector(p.RESPONSE_SD), sd, rtol=1e-9)


# ------------------------------------------------------------------ precisions
def mixture_p_values(law: Responses, factor: float = 1.0) -> list[float]:
    """Logistic responses of missing categories without evidence: normal after division by their own SD.

    Together with the logistic law of the residual that shows that they are a draw from both; `factor`: a mistake.
    """
    _, values, roots = law.draws(4 * REPEATS)
    residuals = (values - law.vector(p.RESPONSE_MEAN))[:, law.cells]
    normal = (factor * residuals * roots[:, law.cells]).ravel()
    deviation = 0.5 / roots[:, law.cells].ravel()
    return [
        float(stats.kstest(residuals.ravel(), "logistic").pvalue),
        float(stats.kstest(normal, "norm").pvalue),
        float(stats.kstest(deviation, "kstwobign").pvalue),
        float(stats.spearmanr(np.abs(normal), deviation).pvalue),
    ]


def with_free_categories() -> Responses:
    """Ordered logit whose missing categories are drawn without evidence."""
    law = Responses("ordered logit, predictor")
    responses = law.planned.plan.responses.copy()
    responses[law.planned.plan.steps[law.number, 1], p.RESPONSE_EVIDENCE] = -1
    law.running.planned = replace(law.planned, plan=law.planned.plan._replace(responses=responses))
    return law


def test_logistic_responses_are_mixtures_of_normal_ones():
    assert min(mixture_p_values(with_free_categories())) > ALPHA


def test_a_wrong_scale_of_the_mixture_is_seen():
    assert min(mixture_p_values(with_free_categories(), factor=1.4)[1:]) < ALPHA


def working_z(law: Responses, mean: Array, size: float) -> float:
    """Standardised difference of Polya-Gamma precisions from their means, summed over units and draws."""
    codes, values, roots = law.draws(REPEATS)
    on = codes[0] >= 0.0
    precision = roots[:, on] ** 2
    count = law.kind == p.RESPONSE_COUNT
    shape = codes[0, on] + size if count else 1.0
    kappa = 0.5 * (codes[:, on] - size) if count else codes[:, on] - 0.5
    shift = np.log(size) if count else 0.0
    np.testing.assert_allclose((values[:, on] - shift) * precision, kappa, rtol=1e-9)
    psi = mean[on] - shift
    expected = 0.5 * shape / psi * np.tanh(0.5 * psi)
    variance = 0.25 * shape / psi**3 * (np.sinh(psi) - psi) / np.cosh(0.5 * psi) ** 2
    return float((precision - expected).sum() / np.sqrt(REPEATS * np.sum(variance)))


@pytest.mark.parametrize("name", having(p.RESPONSE_BINARY, p.RESPONSE_COUNT))
def test_working_responses_and_their_precisions(name):
    """kappa / w around a linear predictor with precision w, w of the mean that PG(b, psi) has."""
    law = Responses(name)
    size = 1.0 / law.store[law.row[p.RESPONSE_CUTS]] if law.kind == p.RESPONSE_COUNT else 1.0
    assert abs(working_z(law, law.vector(p.RESPONSE_MEAN), size)) < critical()
    values = values_of(law.planned, law.store)
    np.testing.assert_allclose(law.vector(p.RESPONSE_MEAN), values.fitted(0), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["binary logit", "count"])
def test_a_wrong_linear_predictor_of_precisions_is_seen(name):
    law = Responses(name)
    size = 1.0 / law.store[law.row[p.RESPONSE_CUTS]] if law.kind == p.RESPONSE_COUNT else 1.0
    assert abs(working_z(law, 2.0 * law.vector(p.RESPONSE_MEAN) + 1.5, size)) > critical()


# ------------------------------------------------------------------ missing categories
def exact_probabilities(law: Responses) -> Array:
    """Of each category (columns) of each missing cell (rows): response integrated out, times other equations."""
    planned, name = law.planned, "e" if "e" in law.planned.model.variables else "a"
    values = values_of(planned, law.store)
    cdf = stats.norm.cdf if law.kind == p.RESPONSE_NORMAL else stats.logistic.cdf
    mean, sd = law.vector(p.RESPONSE_MEAN), law.vector(p.RESPONSE_SD, 1.0)
    variable = planned.model.variables[name]
    found = []
    for unit in law.cells:
        row = []
        for k, code in enumerate(sorted(variable.codes)):
            z = (law.cuts[k : k + 2] - mean[unit]) / sd[unit]
            data = values.data[name].copy()
            data[unit] = code
            values.data = {**values.data, name: data}
            total = np.log(cdf(z[1]) - cdf(z[0]))
            for r in planned.regressions.outcomes:
                if r.normal:
                    rest = (values.data[r.equation.outcome] - values.fitted(r.planned.source))[unit]
                    total -= 0.5 * rest**2 / values.parameters[r.equation.residual]
            row.append(total)
        found.append(np.exp(np.array(row) - max(row)))
    return np.array(found) / np.sum(found, axis=1, keepdims=True)


def category_p_value(law: Responses, tilt: float = 0.0) -> float:
    """Frequencies of all cells; `tilt`: a mistake in the log odds of neighbouring categories."""
    probabilities = exact_probabilities(law)
    probabilities *= np.exp(tilt * np.arange(probabilities.shape[1]))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    count = 400
    codes, _, _ = law.draws(count)
    own = codes[:, law.cells].astype(int)
    # of each cell the number of draws in its categories; the sum over cells of the place, and of its square
    statistics = []
    places = np.arange(probabilities.shape[1])
    for power in (1, 2):
        mean = probabilities @ places**power
        variance = probabilities @ places ** (2 * power) - mean**2
        statistics.append(((own**power - mean).sum(axis=0)) / np.sqrt(count * np.maximum(variance, 1e-12)))
    z = np.array(statistics)[:, probabilities.max(axis=1) < 0.98]
    assert z.shape[1] >= 5
    return float(min(1.0, z.size * 2.0 * stats.norm.sf(np.abs(z).max())))


MISSING = [name for name in PLANS if name.endswith("predictor") and Responses(name).cells.size]


@pytest.mark.parametrize("name", MISSING)
def test_missing_categories_have_their_exact_probabilities(name):
    assert category_p_value(Responses(name)) > ALPHA


@pytest.mark.parametrize("name", ["probit, predictor", "binary logit, predictor"])
def test_a_wrong_evidence_of_categories_is_seen(name):
    assert category_p_value(Responses(name), tilt=0.6) < ALPHA


def test_all_kinds_of_missing_categories_are_here():
    assert len(MISSING) == 5
