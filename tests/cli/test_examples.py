"""The examples: reproducible data, a page each, and scripts that are understood."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*/*.inp"))


def test_the_data_can_be_made_again(tmp_path):
    spec = importlib.util.spec_from_file_location("make_data", EXAMPLES / "make_data.py")
    make_data = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_data)
    make_data.main(tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.glob("*/data.csv"))
    assert made == sorted(path.relative_to(EXAMPLES) for path in EXAMPLES.glob("*/data.csv"))
    for path in made:
        assert (tmp_path / path).read_bytes() == (EXAMPLES / path).read_bytes(), path


def test_every_example_has_a_page():
    overview = (EXAMPLES / "README.md").read_text()
    for folder in {path.parent for path in SCRIPTS}:
        assert (folder / "README.md").exists()
        assert f"{folder.name}/README.md" in overview


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_script_is_understood(mlbayes, script):
    outcome = mlbayes("check", script, "--show", "plan")
    assert outcome.status == 0, outcome.err


# ------------------------------------------------------------------ runs
# Truths outside their 95 % intervals, as a few of so many must be; their distance is below three standard deviations.
OUTSIDE = {("location_scale", "mood: stress")}

# True values in make_data.py or in SIMULATE, by the label of the row, or by "outcome: label" (or "outcome.category:
# label") where there are several equations.
# "week*arm.2" and the like: slopes compared to arm 1.
TRUTHS = {
    "two_level_missing": {
        **{"autonomy": 0.6, "support": 0.35, "climate": 0.5, "training": 1.1, "Residual Var.": 6.25},
        **{"L2 : Var(Intercept)": 1.2, "L2 : Cov(autonomy,Intercept)": 0.15, "L2 : Var(autonomy)": 0.16},
    },
    "contextual_effect": {
        **{"ability": 0.3, "ability.mean[class]": 0.9, "context": 0.6, "Residual Var.": 49.0},
        **{"L2 : Var(Intercept)": 9.0, "L2 : Cov(ability,Intercept)": 0.2, "L2 : Var(ability)": 0.02},
    },
    "cross_level_interaction": {
        **{"pain": -0.5, "acceptance": 0.05, "pain*acceptance": 0.03, "Residual Var.": 1.0},
        **{"L2 : Var(Intercept)": 0.8, "L2 : Cov(pain,Intercept)": 0.02, "L2 : Var(pain)": 0.04},
    },
    "growth": {
        **{
            "Intercept": 24.0,
            "week": -0.4,
            "arm.2": 0.0,
            "arm.3": 0.0,
            "week*arm.2": -0.9,
            "week*arm.3": -1.6,
        },
        **{"L2 : Var(Intercept)": 16.0, "L2 : Cov(week,Intercept)": 0.6, "L2 : Var(week)": 0.5},
        **{"Residual Var.": 6.25},
    },
    "three_level_growth": {
        **{
            "Intercept": 50.0,
            "time": 2.0,
            "curriculum.1": 0.0,
            "time*curriculum.1": 0.9,
            "Residual Var.": 9.0,
        },
        **{"L2 : Var(Intercept)": 20.0, "L2 : Cov(time,Intercept)": 0.8, "L2 : Var(time)": 0.6},
        **{"L3 : Var(Intercept)": 6.0, "L3 : Cov(time,Intercept)": 0.3, "L3 : Var(time)": 0.3},
    },
    "ordinal_predictor": {
        **{
            "workload": 0.7,
            "nights": 2.0,
            "staffing": -0.6,
            "L2 : Var(Intercept)": 2.25,
            "Residual Var.": 9.0,
        }
    },
    "regression": {
        **{"Intercept": 12.0, "stress": 1.0, "sleep": -1.2, "stress*sleep": -0.4, "age": 0.03},
        **{"Residual Var.": 4.0},
    },
    "imputation": {
        **{"Intercept": 40.0, "hours": 1.5, "budget": 0.05, "Residual Var.": 9.0, "L2 : Var(Intercept)": 2.0},
        **{"L2 : Cov(hours,Intercept)": 0.1, "L2 : Var(hours)": 0.1},
    },
    "fcs_questionnaire": {
        **{
            "q1: q2": 0.15,
            "q4: q6": 0.15,
            "q3: wellbeing": 0.03,
            "wellbeing: q1": 0.48,
            "wellbeing: q5": 0.48,
        },
        **{"wellbeing: Residual Var.": 16.0, "wellbeing: Grand Mean": 50.0},
    },
    "ordinal_outcome": {
        **{"waiting": -0.5, "staff": 0.4, "L2 : Var(Intercept)": 0.3, "Tau 2": 1.0, "Tau 3": 2.0},
    },
    "binary_outcome": {
        **{"practice": 0.8, "coaching": 0.7, "or_practice": 2.2255},
        **{"L2 : Var(Intercept)": 0.6, "L2 : Cov(practice,Intercept)": 0.1, "L2 : Var(practice)": 0.2},
    },
    "nominal_outcome": {
        **{"mode.2: distance": -0.9, "mode.2: children": -0.5, "mode.2: Intercept": 0.3},
        **{"mode.3: distance": 0.6, "mode.3: children": 0.8, "mode.3: Intercept": 0.2},
    },
    "count_outcome": {
        **{
            "Intercept": 0.8,
            "workload": 0.3,
            "nights": 0.5,
            "Dispersion Parameter": 0.5,
            "L2 : Var(Intercept)": 0.15,
        },
        **{"rate_ratio": 1.6487},
    },
    "missing_not_at_random": {
        **{
            "income: Intercept": 3.0,
            "income: schooling": 0.6,
            "income: age": 0.3,
            "income: Residual Var.": 1.0,
        },
        **{"income.missing: income": 0.7, "income.missing: trained": -0.9, "income.missing: Intercept": -2.7},
    },
    "skewed_outcome": {
        **{"Yeo-Johnson (lambda)": 0.3, "load": 0.4, "sleep": -0.2, "Intercept": 2.6, "Residual Var.": 0.36},
    },
    "hurdle": {
        **{"logit(drinks): Intercept": 0.5, "logit(drinks): stress": 0.6, "logit(drinks): age": -0.4},
        **{
            "amount: Intercept": 1.5,
            "amount: stress": 0.3,
            "amount: age": 0.2,
            "amount: Residual Var.": 0.25,
        },
    },
    "survival": {
        **{"(year==1)": -1.8, "(year==2)": -1.5, "(year==3)": -1.2, "(year==4)": -1.4, "(year==5)": -1.6},
        **{"support": -0.6, "odds_ratio": 0.5488},
    },
    "ordinal_items": {
        **{"item2: strain": 0.8, "item3: strain": 1.2, "item4: strain": 0.9},
        **{"strain: load": 0.6, "strain: Residual Var.": 1.0, "item3: Tau 2": 1.0, "item3: Tau 3": 2.0},
    },
    "factor_model": {
        **{"worry: Residual Var.": 1.0, "mood: Residual Var.": 1.44, "Cor(worry,mood)": 0.5},
        **{"worry2: worry": 0.8, "worry3: worry": 1.2, "mood2: mood": 0.7, "mood3: mood": 1.1},
        **{"worry1: Intercept": 3.0, "worry1: Residual Var.": 0.49, "mood3: Residual Var.": 0.49},
    },
    "multilevel_sem": {
        **{"level_j: Intercept": 70.0, "level_j: resources": 1.5, "level_j: Residual Var.": 4.0},
        **{"effect_j: Intercept": 1.2, "effect_j: resources": 0.5, "effect_j: Residual Var.": 0.25},
        **{"Cov(level_j,effect_j)": 0.4, "score: prior": 0.4, "score: Residual Var.": 16.0},
    },
    "location_scale": {
        **{"level_i: Intercept": 6.0, "level_i: age45": 0.02, "level_i: Residual Var.": 0.8},
        **{"logvar_i: Intercept": 0.2, "logvar_i: age45": -0.02, "logvar_i: Residual Var.": 0.3},
        **{"Cov(level_i,logvar_i)": -0.2, "mood: stress": -0.5, "var(mood): stress": 0.3},
    },
    "mediation": {
        **{"a_j: Intercept": 0.6, "b_j: Intercept": -0.5, "ab_cov": 0.06, "within": -0.24, "between": -0.2},
        **{"a_j: Residual Var.": 0.09, "b_j: Residual Var.": 0.16, "Cor(a_j,b_j)": 0.5},
        **{"stress_j: demands_j": 0.5, "sleep_j: stress_j": -0.4, "sleep: (demands-demands_j)": -0.2},
    },
    "growth_latent": {
        **{"level: Intercept": 20.0, "level: tutored": 0.0, "level: Residual Var.": 9.0},
        **{"slope: Intercept": 3.0, "slope: tutored": 0.9, "slope: Residual Var.": 0.8},
        **{"Cov(level,slope)": 0.6, "read4: Residual Var.": 4.0},
    },
    "panel": {
        **{"s2: dev_s1": 0.4, "s2: dev_c1": -0.2, "c2: dev_c1": 0.3, "c2: dev_s1": 0.0},
        **{"stable_s: Residual Var.": 0.64, "stable_c: Residual Var.": 0.49},
        **{"Cor(stable_s,stable_c)": -0.4, "s3: Residual Var.": 0.64, "c3: Residual Var.": 0.64},
    },
    "latent_interaction": {
        **{"strain: Intercept": 10.0, "strain: load": 1.0, "strain: control": -0.8},
        **{"strain: load*control": -0.5, "strain: Residual Var.": 1.44, "Cor(load,control)": -0.3},
        **{"load2: load": 0.9, "load3: load": 1.1, "control2: control": 0.9, "control3: control": 1.1},
    },
    "two_level_factor": {
        **{"view: Residual Var.": 1.0, "climate: Residual Var.": 0.36},
        **{"rating2: view": 0.8, "rating3: view": 1.2, "rating4: view": 0.9},
        **{"rating2: climate": 1.1, "rating3: climate": 0.9, "rating4: climate": 1.2},
    },
    "simulation": {
        **{"Intercept": 10.2, "stress": -0.5, "stress.mean[person]": -0.8, "Residual Var.": 1.5},
        **{"L2 : Var(Intercept)": 1.0, "L2 : Cov(stress,Intercept)": 0.09, "L2 : Var(stress)": 0.09},
    },
}
# Smallest N_Eff of all rows.  Carry-over and stable differences are multiplied with each other, so they alternate.
# The run of ordinal_items is a short one.
LEAST = {"panel": 300.0, "ordinal_items": 500.0}
HEADINGS = (
    "ALGORITHMIC OPTIONS SPECIFIED:",
    "BURN-IN POTENTIAL SCALE REDUCTION (PSR) OUTPUT:",
    "METROPOLIS-HASTINGS ACCEPTANCE RATES:",
    "DATA INFORMATION:",
    "MODEL INFORMATION:",
    "WARNING MESSAGES:",
    "MODEL FIT:",
    "IMPUTED DATA SUMMARIES:",
    "CORRELATIONS AMONG RESIDUALS:",
    "OUTCOME MODEL ESTIMATES:",
    "PREDICTOR MODEL ESTIMATES:",
)
OPTIONAL = {"acceptance": HEADINGS[2], "predictor_tables": HEADINGS[-1]}  # where there is nothing to tell
WITH_A_MODEL = ["MODEL INFORMATION:", "MODEL FIT:", "OUTCOME MODEL ESTIMATES:"]  # not with FCS


def test_every_simulated_example_has_its_truths():
    assert set(TRUTHS) == {path.parent.name for path in SCRIPTS} - {"school_data"}


@pytest.mark.parametrize("name", TRUTHS)
def test_an_example_runs_and_recovers_its_truths(mlbayes, tmp_path, name):
    """From a copy of its folder; the intervals are those of 95 %, the data are fixed, so this cannot fail by chance."""
    folder = shutil.copytree(EXAMPLES / name, tmp_path / name)
    outcome = mlbayes(folder / "model.inp", "--strict", "--quiet", "--json", folder / "result.json")
    assert outcome.status == 0, outcome.err
    document = json.loads((folder / "result.json").read_text())
    absent = [word for key, word in OPTIONAL.items() if not document[key]]
    if not document["outcome_tables"]:
        absent += WITH_A_MODEL
    headings = [line for line in outcome.out.splitlines() if line in HEADINGS]
    assert headings == [line for line in HEADINGS if line not in absent]
    tables = document["outcome_tables"] + document["generated_tables"] or document["predictor_tables"]
    rows = [row for table in tables for row in table["rows"]]
    wanted = (
        "Variances",
        "Coefficients",
        "Transformation",
        "Covariances",
        "Correlations",
        "Thresholds",
        "Level 1",
        None,
    )
    found = {row["label"]: row for row in rows if row["section"] in wanted}
    found |= {
        f"{row.get('category') or table['name']}: {row['label']}": row
        for table in tables
        for row in table["rows"]
        if row["section"] in wanted
    }
    for label, truth in TRUTHS[name].items():
        low, high = found[label]["q025"], found[label]["q975"]
        if (name, label) in OUTSIDE:
            assert not low < truth < high, label
            assert abs(found[label]["estimate"] - truth) < 3.0 * found[label]["sd"], label
        else:
            assert low < truth < high, label
    assert min(row["neff"] for row in rows if row["neff"] is not None) > LEAST.get(name, 1000.0)
