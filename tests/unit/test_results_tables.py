"""Rows and their draws: labels, order, formulas."""

import dataclasses
import math

import numpy as np
import pytest
import synthetic
from arviz_stats.base import array_stats
from scipy.stats import chi2

from mlbayes.model.expressions import Constant, Form, Operation, ParameterReference, Reference
from mlbayes.model.model import At, Distribution, Generated, Kind, ModeratorSpec, Role, Variable
from mlbayes.problems import ProblemError
from mlbayes.results.build import build_document, parameter_draws
from mlbayes.results.conditional import is_possible, sort_key
from mlbayes.results.expressions import evaluate
from mlbayes.results.fit import wald_statistic
from mlbayes.results.outcomes import outcome_table
from mlbayes.results.parameters import Parameters, covariance_table
from mlbayes.results.predictors import predictor_table
from mlbayes.results.summary import chi_square_tail


@pytest.fixture(scope="module")
def model():
    return synthetic.make_model()


@pytest.fixture(scope="module")
def draws():
    return synthetic.make_draws()


@pytest.fixture(scope="module")
def document(model, draws):
    return build_document(model, *synthetic.make_information(), draws)


def table(document, name, kind="outcome"):
    tables = document.outcome_tables + document.generated_tables + document.predictor_tables
    return next(one for one in tables if one.name == name and one.kind == kind)


def row(document, name, section, label, kind="outcome"):
    rows = table(document, name, kind).rows
    return next(one for one in rows if (one.section, one.label) == (section, label))


def test_tables_stand_block_by_block(document):
    assert [(one.block, one.kind, one.name) for one in document.outcome_tables] == [
        ("latent.model", "latent", "f1"),
        ("latent.model", "latent", "f2"),
        ("latent.model", "covariance", "f1 f2"),
        ("focal.model", "outcome", "y"),
        ("focal.model", "conditional-effects", "y"),
        ("focal.model", "outcome", "d2"),
    ]


def test_rows_of_an_outcome_with_random_effects(document):
    assert [(one.section, one.label) for one in table(document, "y").rows] == [
        ("Variances", "L2 : Var(Intercept)"),
        ("Variances", "L2 : Cov(x,Intercept)"),
        ("Variances", "L2 : Var(x)"),
        ("Variances", "Residual Var."),
        ("Coefficients", "Intercept"),
        ("Coefficients", "x"),
        ("Coefficients", "m"),
        ("Coefficients", "x.mean[school]"),
        ("Coefficients", "x*m"),
        ("Standard Deviations", "L2 : SD(Intercept)"),
        ("Standard Deviations", "L2 : Cor(x,Intercept)"),
        ("Standard Deviations", "L2 : SD(x)"),
        ("Standard Deviations", "Residual SD"),
        ("Standardized Coefficients", "x"),
        ("Standardized Coefficients", "m"),
        ("Standardized Coefficients", "x.mean[school]"),
        ("Standardized Coefficients", "x*m"),
        ("Proportion Variance Explained", "by Coefficients"),
        ("Proportion Variance Explained", "by Level-2 Random Intercepts"),
        ("Proportion Variance Explained", "by Level-2 Random Slopes"),
        ("Proportion Variance Explained", "by Level-1 Residual Variation"),
    ]
    assert table(document, "y").centered == {"Grand Mean": ["m", "x.mean[school]"], "Group Mean": ["x"]}


def test_rows_of_predictor_models(document):
    assert [(one.section, one.label) for one in table(document, "x", "predictor").rows] == [
        (None, "Grand Mean"),
        ("Level 1", "d"),
        ("Level 1", "Residual Var."),
        ("Level 2", "d"),
        ("Level 2", "m"),
        ("Level 2", "Residual Var."),
    ]
    assert table(document, "d", "predictor").rows[-1].label == "Tau 1"
    assert [one.title for one in document.predictor_tables] == ["Missing predictor"] * 2 + ["Means Model"]


def test_rows_are_numbered_in_order_of_printing_without_conditional_effects(document, model, draws):
    tables = document.outcome_tables + document.generated_tables + document.predictor_tables
    numbers = [one.number for made in tables for one in made.rows if made.kind != "conditional-effects"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == len(parameter_draws(model, draws))
    assert {one.number for made in tables for one in made.rows if made.kind == "conditional-effects"} == {0}


def test_figures_of_a_coefficient_come_from_the_draws_after_burn_in(document, draws):
    kept = draws.equations[2].coefficients[:, synthetic.BURN :, 1]
    found = row(document, "y", "Coefficients", "x")
    assert found.estimate == pytest.approx(np.median(kept))
    assert found.mean == pytest.approx(kept.mean())
    assert found.sd == pytest.approx(kept.std(ddof=1))
    assert (found.q025, found.q975) == pytest.approx(tuple(np.quantile(kept, [0.025, 0.975])))
    assert found.chisq == pytest.approx((kept.mean() / kept.std(ddof=1)) ** 2)
    assert found.pvalue == pytest.approx(chi2.sf(found.chisq, 1))
    assert found.neff == pytest.approx(array_stats.ess(kept, method="mean"))
    assert found.rhat == pytest.approx(array_stats.rhat(kept, method="rank"))


def test_only_coefficients_and_their_like_are_tested(document):
    tested = {one.section for one in table(document, "y").rows if one.chisq is not None}
    assert tested == {"Coefficients", "Standardized Coefficients"}
    assert all(one.chisq is not None for one in table(document, "f1 f2", "covariance").rows)
    assert all(one.chisq is not None for one in table(document, "", "generated").rows)


def test_explained_variance_and_standardized_coefficients(document, draws):
    y = draws.equations[2]
    total = y.explained + y.random[0].intercepts + y.random[0].slopes + y.residual
    kept = slice(synthetic.BURN, None)
    share = (y.random[0].slopes / total)[:, kept]
    found = row(document, "y", "Proportion Variance Explained", "by Level-2 Random Slopes")
    assert found.estimate == pytest.approx(np.median(share))
    standardized = (y.coefficients[..., 2] * 2.0 / np.sqrt(total))[:, kept]
    assert row(document, "y", "Standardized Coefficients", "m").mean == pytest.approx(standardized.mean())
    shares = [one.mean for one in table(document, "y").rows if one.section == "Proportion Variance Explained"]
    assert sum(shares) == pytest.approx(1.0)


def test_a_fixed_latent_intercept_is_not_standardized(document):
    labels = [one.label for one in table(document, "d2").rows if one.section == "Standardized Coefficients"]
    assert labels == ["y"]
    loading = row(document, "d2", "Coefficients", "f1")
    assert loading.fixed and loading.estimate == 1.0


def test_constants_have_no_effective_size(document):
    residual = row(document, "d2", "Variances", "Residual Var.")
    assert (residual.estimate, residual.sd, residual.neff) == (1.0, 0.0, None)
    assert not residual.fixed
    share = row(document, "f1", "Proportion Variance Explained", "by Residual Variation", "latent")
    assert (share.estimate, share.sd, share.neff) == (1.0, 0.0, None)
    # Constant up to rounding: the correlation of the random effects was made to be 0.2.
    assert row(document, "y", "Standard Deviations", "L2 : Cor(x,Intercept)").sd == 0.0


def test_covariance_is_correlation_times_standard_deviations(document, draws):
    values = draws.parameters["rho"] * np.sqrt(draws.equations[0].residual * draws.equations[1].residual)
    found = row(document, "f1 f2", "Covariances", "Cov(f1,f2)", "covariance")
    assert found.mean == pytest.approx(values[:, synthetic.BURN :].mean())


def test_phantom_variables_show_correlations_without_tests(draws):
    model = synthetic.make_model(frozenset({"use_phantom"}))
    found = build_document(model, *synthetic.make_information(), draws)
    phantom = next(one for one in found.outcome_tables if one.kind == "phantom")
    assert [(one.label, one.chisq) for one in phantom.rows] == [("f1 <-> f2", None)]


def test_conditional_effects(document, draws):
    effects = next(one for one in document.outcome_tables if one.kind == "conditional-effects")
    b = draws.equations[2].coefficients[:, synthetic.BURN :]
    assert [(one.section, one.label) for one in effects.rows[:2]] == [
        ("x | m @ +1 SD", "Intercept"),
        ("x | m @ +1 SD", "Slope"),
    ]
    assert effects.rows[0].mean == pytest.approx((b[..., 0] + 4.0 * b[..., 2]).mean())
    assert effects.rows[5].mean == pytest.approx((b[..., 1] - 4.0 * b[..., 4]).mean())


def test_burn_in_table_shows_the_highest_rhat_and_its_row(document, model, draws):
    rows = parameter_draws(model, draws)
    last = document.psr[-1]
    assert (last.first, last.last) == (101, 200)
    windows = [one.values[:, 100:200] for one in rows]
    values = [array_stats.rhat(one) if one.size and np.ptp(one) > 0.0 else 0.0 for one in windows]
    assert last.parameter == 1 + int(np.argmax(values))
    assert last.rhat == pytest.approx(max(values))


def test_information_criteria(document, draws):
    units = draws.monitors.conditional
    lppd = units.log_mean_exp.sum()
    assert document.fit.conditional_waic == pytest.approx(-2 * (lppd - units.variance.sum()))
    assert document.fit.conditional_dic == pytest.approx(-4 * units.mean.sum() + 2 * lppd)


def test_wald_test(document, draws):
    b = draws.equations[2].coefficients[:, synthetic.BURN :].reshape(-1, 5)
    constrained = np.column_stack((b[:, 1], b[:, 2] - b[:, 3]))
    mean, covariance = constrained.mean(axis=0), np.cov(constrained.T)
    found = document.fit.wald[0]
    assert found.statistic == pytest.approx(mean @ np.linalg.inv(covariance) @ mean)
    assert found.df == 2
    assert found.p == pytest.approx(chi2.sf(found.statistic, 2))


def test_a_wald_test_counts_once_what_is_said_twice():
    draws = np.random.default_rng(5).normal(1.0, 1.0, (200, 2))
    repeated = np.column_stack((draws, draws[:, 0] - draws[:, 1], draws[:, 1]))
    expected = wald_statistic(draws.mean(axis=0), np.cov(draws.T))
    assert expected[1] == 2
    assert wald_statistic(repeated.mean(axis=0), np.cov(repeated.T)) == pytest.approx(expected)
    unequal = repeated.mean(axis=0) - [0.0, 0.0, 0.0, 1.0]
    assert np.isnan(wald_statistic(unequal, np.cov(repeated.T))[0])
    assert np.isnan(wald_statistic(np.zeros(1), np.zeros((1, 1)))[0])


@pytest.mark.filterwarnings("error")
def test_a_quantity_without_a_number_is_named(draws):
    model = synthetic.make_model()
    quantity = Generated("never", Operation("sqrt", (Constant(-1.0),)), "never = sqrt(-1)")
    model = dataclasses.replace(model, generated=(*model.generated, quantity))
    document = build_document(model, *synthetic.make_information(), draws)
    assert "'never' is not a finite number in all draws" in document.warnings[-1]
    assert document.generated_tables[-1].rows[-1].estimate is None


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 20])
def test_tail_of_chi_square(df):
    for x in (0.0, 1e-8, 0.5, 3.0, 25.0, 200.0):
        assert chi_square_tail(x, df) == pytest.approx(chi2.sf(x, df), rel=1e-12)


def test_expressions_of_parameters():
    values = {"a": np.array([[1.0, 4.0]]), "b": np.array([[0.5, -0.5]])}
    a, b = ParameterReference("a"), ParameterReference("b")

    def value(operator, *arguments):
        return evaluate(Operation(operator, arguments), values.__getitem__).tolist()

    assert value("sqrt", a) == [[1.0, 2.0]]
    assert value("min", a, b, Constant(0.0)) == [[0.0, -0.5]]
    assert value("ifelse", Operation(">", (b, Constant(0.0))), a, b) == [[1.0, -0.5]]
    assert value("phi", Constant(0.0)) == [[0.5]]
    assert value("normal_pdf", Constant(0.0)) == [[pytest.approx(1 / math.sqrt(2 * math.pi))]]
    assert math.isnan(value("ln", Operation("neg", (a,)))[0][0])


def test_an_unknown_parameter_is_a_problem(model, draws):
    with pytest.raises(ProblemError, match="z.totalvar"):
        Parameters(model, draws).find("z.totalvar")


def test_a_run_that_was_interrupted_in_burn_in_still_has_a_document(model):
    full = synthetic.make_draws(complete=False)
    object.__setattr__(full, "kept", 0)
    object.__setattr__(full, "burn", synthetic.BURN + synthetic.KEPT)
    found = build_document(model, *synthetic.make_information(), full)
    assert not found.complete
    assert row(found, "y", "Coefficients", "x").estimate is None


def test_only_one_dummy_code_of_a_nominal_moderator_is_1():
    specs = tuple(
        ModeratorSpec(Reference("n", 1, Form.DUMMY, code), At.CODES, f"n.{code}", (0.0, 1.0))
        for code in (2, 3)
    )
    assert [is_possible(specs, choice) for choice in ((0, 0), (0, 1), (1, 0), (1, 1))] == [True] * 3 + [False]


def test_binary_logit_rows(draws):
    model = synthetic.make_model()
    probit = model.equations[3]
    logit = dataclasses.replace(probit, distribution=Distribution.LOGIT, title="logit(d2)")
    found = outcome_table(logit, draws.equations[3], model, {})
    assert [(one.section, one.label, one.tested) for one in found.rows] == [
        ("Coefficients", "f1", True),
        ("Coefficients", "y", True),
        ("Odds Ratio", "f1", False),
        ("Odds Ratio", "y", False),
        ("Proportion Variance Explained", "by Coefficients", False),
        ("Proportion Variance Explained", "by Residual Variation", False),
    ]


def test_a_modelled_variance_has_no_residual_deviation(draws):
    model = synthetic.make_model()
    variance = dataclasses.replace(
        model.equations[0], distribution=Distribution.LOG_VARIANCE, title="var(f1)", residual=None
    )
    model = dataclasses.replace(model, equations=(*model.equations, variance))
    labels = [one.label for one in outcome_table(model.equations[0], draws.equations[0], model, {}).rows]
    assert labels == ["Mean Residual Var.", "Intercept", "by Coefficients", "by Residual Variation"]
    rows = outcome_table(variance, draws.equations[0], model, {}).rows
    assert [(one.section, one.label) for one in rows] == [("Coefficients", "Intercept")]


def test_names_of_nominal_outcomes_group_the_rows(draws):
    model = synthetic.make_model()
    y = model.equations[2]
    terms = tuple(dataclasses.replace(term, category=2 + k // 3) for k, term in enumerate(y.terms))
    nominal = dataclasses.replace(y, distribution=Distribution.MULTINOMIAL, terms=terms, random=())
    y_draws = dataclasses.replace(draws.equations[2], random=())
    found = [(one.category, one.section) for one in outcome_table(nominal, y_draws, model, {}).rows]
    assert list(dict.fromkeys(found)) == [
        ("y.2", "Coefficients"),
        ("y.2", "Odds Ratio"),
        ("y.3", "Coefficients"),
        ("y.3", "Odds Ratio"),
    ]


def test_imputation_without_a_model_has_tables_of_variables(draws):
    model = dataclasses.replace(synthetic.make_model(), imputation=True)
    found = build_document(model, *synthetic.make_information(), draws)
    assert (found.predictor_tables[0].kind, found.predictor_tables[0].title) == ("fcs", "Missing variable")


def test_named_draws_fill_the_rows_that_equations_have_no_place_for(draws):
    model = synthetic.make_model(frozenset({"hev"}))
    values = draws.parameters["b1"]
    labels = ("Heterogeneity Index", "Q25% Residual Var.", "Q50% Residual Var.", "Q75% Residual Var.")
    named = {f"y: {label}": values for label in labels}
    found = outcome_table(model.equations[2], draws.equations[2], model, named).rows
    assert [one.label for one in found if one.section == "Variances"][3:] == [
        *labels[:3],
        "Mean Residual Var.",
        labels[3],
    ]
    assert "Residual SD" not in [one.label for one in found]


def test_thresholds_of_ordinal_variables(draws):
    model = synthetic.make_model()
    variables = {name: dataclasses.replace(model.variables[name], codes=(1, 2, 3)) for name in ("d", "d2")}
    model = dataclasses.replace(model, variables={**model.variables, **variables})
    named = {"d: Tau 2": draws.parameters["b1"], "d2: Tau 2": draws.parameters["b2"]}
    outcome = outcome_table(model.equations[3], draws.equations[3], model, named)
    predictor = predictor_table(model.predictor_models[1], draws.predictors[1:2], model, named)
    for made in (outcome, predictor):
        assert [one.label for one in made.rows if one.section == "Thresholds"] == ["Tau 1", "Tau 2"]


def test_average_covariance_where_a_variance_is_modelled(draws):
    model = synthetic.make_model()
    variance = dataclasses.replace(
        model.equations[0], distribution=Distribution.LOG_VARIANCE, title="var(f1)"
    )
    model = dataclasses.replace(model, equations=(*model.equations, variance))
    more = {**draws.parameters, "Cov(f1,f2)": draws.parameters["b1"]}
    draws = dataclasses.replace(
        draws, equations=(*draws.equations, draws.equations[0]), parameters=more, predictors=draws.predictors
    )
    found = covariance_table(model.covariances[0], model, Parameters(model, draws))
    assert [one.section for one in found.rows] == ["Average Covariances", "Correlations"]


def test_rows_that_overflow_show_no_number_and_warn_of_nothing(model, draws):
    y = draws.equations[2]
    without_variance = dataclasses.replace(
        y, residual=0.0 * y.residual, explained=0.0 * y.explained, random=(no_variance(y.random[0]),)
    )
    broken = dataclasses.replace(
        draws, equations=(*draws.equations[:2], without_variance, draws.equations[3])
    )
    found = build_document(model, *synthetic.make_information(), broken)
    share = row(found, "y", "Proportion Variance Explained", "by Coefficients")
    assert (share.estimate, share.sd, share.rhat) == (None, None, None)


def no_variance(random):
    return dataclasses.replace(
        random,
        covariance=0.0 * random.covariance,
        intercepts=0.0 * random.intercepts,
        slopes=0.0 * random.slopes,
    )


@pytest.mark.parametrize("reference", [1, 2, 3])
def test_the_codes_of_a_nominal_moderator_come_in_their_order(reference):
    others = [code for code in (1, 2, 3) if code != reference]
    specs = tuple(
        ModeratorSpec(Reference("n", 1, Form.DUMMY, code), At.CODES, f"n.{code}", (0.0, 1.0))
        for code in others
    )
    nominal = Variable("n", Kind.NOMINAL, 1, Role.PREDICTOR, np.zeros(3), (1, 2, 3), reference)
    choices = sorted(((0, 0), (0, 1), (1, 0)), key=lambda choice: sort_key(specs, choice, {"n": nominal}))
    codes = [reference if choice == (0, 0) else others[choice.index(1)] for choice in choices]
    assert codes == [1, 2, 3]
    one = specs[:1]  # alone, its 0 stands for all other codes
    assert sorted(((1,), (0,)), key=lambda choice: sort_key(one, choice, {"n": nominal})) == [(0,), (1,)]


def test_the_shares_of_the_variance_add_up_without_random_intercepts(model, draws):
    y = model.equations[2]
    slope_only = dataclasses.replace(y.random[0], terms=(1,), labels=("x",))
    found = outcome_table(dataclasses.replace(y, random=(slope_only,)), draws.equations[2], model, {}).rows
    shares = [one for one in found if one.section == "Proportion Variance Explained"]
    assert len(shares) == 4
    assert np.allclose(sum(one.values for one in shares), 1.0)
