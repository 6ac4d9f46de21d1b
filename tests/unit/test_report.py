"""The text report and the JSON file of a made-up result."""

import dataclasses
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import synthetic
from scripts import REFERENCE

from mlbayes.output import layout
from mlbayes.output.json_file import document_from_json, document_to_json
from mlbayes.output.report import render_data_information, render_model_information, render_report
from mlbayes.results import schema
from mlbayes.results.build import build_document
from mlbayes.results.document import Fit, Row, SavedOrder, Table

GOLDEN = Path(__file__).parents[1] / "golden" / "synthetic_report.txt"
BLIMPOUT = REFERENCE / "blimpout.py"
SCHEMA = Path(schema.__file__).with_name("document.schema.json")


@pytest.fixture(scope="module")
def document():
    made = build_document(synthetic.make_model(), *synthetic.make_information(), synthetic.make_draws())
    names = [f"variable_{i}" for i in range(20)]
    made.saved = [SavedOrder("stacked", "imps.dat", ["imp#", *names, "y[school]", "y$x[school]"])]
    made.predictor_tables[0].rows.append(
        Row("L2 : Cov(time_i[level2id],Intercept[level2id])", "Level 2", estimate=-0.5, sd=0.1)
    )
    return made


def blimpout():
    if not BLIMPOUT.exists():
        pytest.skip("the reader of reports is not at hand (../shared/conformance/blimpout.py)")
    spec = importlib.util.spec_from_file_location("blimpout", BLIMPOUT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def imputation_only(document):
    tables = [
        dataclasses.replace(table, kind="fcs", title="Complete variable")
        for table in document.predictor_tables
    ]
    return dataclasses.replace(
        document,
        model=dataclasses.replace(document.model, models=[], generated=[]),
        fit=Fit(),
        residual_correlations=[],
        outcome_tables=[],
        generated_tables=[],
        predictor_tables=tables,
    )


def all_tables(document):
    return [
        *document.residual_correlations,
        *document.outcome_tables,
        *document.generated_tables,
        *document.predictor_tables,
    ]


def test_report_is_as_before(document, golden):
    golden(GOLDEN, render_report(document))


@pytest.mark.parametrize(
    "change",
    ["none", "interrupted", "phantom", "one chain", "two moderators", "fcs", "nominal", "pinfo", "labels"],
)
def test_every_line_is_understood_and_every_row_comes_back(document, change):
    reader = blimpout()
    if change == "interrupted":
        document = dataclasses.replace(document, complete=False)
    if change == "one chain":
        document = dataclasses.replace(document, chains=1)
    if change in ("phantom", "pinfo", "labels"):
        option = "use_phantom" if change == "phantom" else change
        model = synthetic.make_model(frozenset({option}))
        document = build_document(model, *synthetic.make_information(), synthetic.make_draws())
    if change == "fcs":
        document = imputation_only(document)
    if change == "nominal":
        rows = [
            Row(label, section, f"n.{code}", estimate=1.0, sd=1.0)
            for code in (2, 3)
            for section in ("Coefficients", "Odds Ratio")
            for label in ("Intercept", "x")
        ]
        nominal = Table("outcome", "Outcome Variable", "logit(n)", rows=rows)
        document = dataclasses.replace(document, outcome_tables=[nominal])
    if change == "two moderators":
        section = "a_long_focal | moderator @ Mean + 1 SD, other @ 0"
        rows = [Row(label, section, estimate=1.0, sd=1.0) for label in ("Intercept", "Slope")]
        extra = Table("conditional-effects", "Conditional Effects", "y", rows=rows, notes=["A note."])
        tables = [*document.outcome_tables[:5], extra, *document.outcome_tables[5:]]
        document = dataclasses.replace(document, outcome_tables=tables)
    report = render_report(document)
    parsed = reader.parse(report)
    assert parsed["unparsed"] == []
    assert bool(parsed["errors"]) == (change == "interrupted")
    _, rows, summaries = reader.count_rows(parsed)
    assert reader.count_raw_rows(report) == rows + summaries
    assert summaries == len(document.summaries)
    for mine, theirs in zip(all_tables(document), parsed["tables"], strict=True):
        assert (mine.kind, mine.name) == (theirs["kind"], theirs["name"])
        assert [(r.category, r.section, r.label.replace(" ", ""), r.fixed) for r in mine.rows] == [
            (r["category"], r["section"], r["parameter"].replace(" ", ""), r["fixed"]) for r in theirs["rows"]
        ]
        for ours, read in zip(mine.rows, theirs["rows"], strict=True):
            assert read["estimate"] == pytest.approx(ours.estimate, abs=6e-4, rel=1e-3)


def test_facts_come_back(document):
    parsed = blimpout().parse(render_report(document))
    assert parsed["data"]["clusters"] == {"2": 8}
    assert parsed["data"]["patterns"] == {"y": "-M-", "x": "--M", "d": "--M"}
    assert parsed["model"]["NUMBER OF PARAMETERS"] == document.model.parameters
    assert parsed["fit"]["Conditional Likelihood"]["WAIC"] == round(document.fit.conditional_waic, 3)
    assert parsed["wald"][0]["constraints"] == ["b1 = 0", "b2 = b3"]
    assert [line[:2] for line in parsed["psr"][0]["rows"]] == [[c.first, c.last] for c in document.psr]
    assert parsed["order"]["imputed"][0]["variables"] == document.saved[0].variables
    assert parsed["warnings"] == document.warnings


def test_an_interrupted_run_says_so_at_the_top_and_at_the_bottom(document):
    report = render_report(dataclasses.replace(document, complete=False))
    lines = [line.strip() for line in report.splitlines() if "interrupted" in line]
    assert len(lines) == 2
    assert lines[1].startswith("ERROR: The run was interrupted")
    assert "1000 iterations" in lines[1]
    assert "interrupted" not in render_report(document)


def test_mcse_column_on_request(document):
    options = {**document.options, "Options": "mcse"}
    report = render_report(dataclasses.replace(document, options=options))
    assert " N_Eff       MCSE" in report
    assert "MCSE" not in render_report(document)


def test_all_chains_on_request(document):
    options = {**document.options, "Options": "tuneinfo"}
    assert "  Chain 4:" in render_report(dataclasses.replace(document, options=options))
    assert "  Chain 4:" not in render_report(document)


def test_parameter_information_on_request(document):
    model = synthetic.make_model(frozenset({"pinfo"}))
    asked = build_document(model, *synthetic.make_information(), synthetic.make_draws())
    report = render_report(asked)
    text = report.partition("PARAMETER INFORMATION:")[2].partition("\n\n\n\n")[0]
    first = asked.outcome_tables[0].rows[0]
    found = re.search(
        rf"^ +1  {re.escape(first.label)} +(.*?) +{re.escape(first.prior)} *$", text, re.MULTILINE
    )
    assert found is not None
    assert [float(cell) for cell in found[1].split()] == [
        round(value, 3) for value in asked.parameter_rhats[0]
    ]
    assert max(values[-1] for values in asked.parameter_rhats if values[-1]) == asked.psr[-1].rhat
    assert "PARAMETER INFORMATION" not in render_report(document)


def test_labels_on_request(document):
    options = {**document.options, "Options": "labels"}
    report = render_report(dataclasses.replace(document, options=options))
    _, _, text = report.partition("PARAMETER LABELS:")
    numbers = re.findall(r"^ +(\d+)  ", text.partition("\n\n\n")[0], re.MULTILINE)
    tables = [*document.outcome_tables, *document.generated_tables, *document.predictor_tables]
    assert [int(one) for one in numbers] == [
        row.number for table in tables for row in table.rows if row.number
    ]
    assert "PARAMETER LABELS" not in render_report(document)


def test_report_is_ascii(document):
    made = dataclasses.replace(document, warnings=["gr\N{LATIN SMALL LETTER O WITH DIAERESIS}\N{BULLET}sse"])
    assert "gr\\xf6" in render_report(made)


def test_cells():
    assert layout.number(3.14159) == "      3.142"
    assert layout.number(-322812.0) == " -3.228e+05"
    assert layout.number(99999.5) == "  99999.500"
    assert layout.number(None) == "        ---"
    assert layout.fixed_number(1.0) == "    @ 1.000"
    assert layout.fixed_number(-3.0) == "    @-3.000"


def test_a_row_is_110_characters_wide():
    (line,) = layout.row("Intercept", [layout.number(1.0)] * 7)
    assert len(line) == 110


def test_long_labels_are_broken():
    lines = layout.row("L2 : Cov(time_i[level2id],Intercept[level2id])", [layout.number(1.0)])
    assert lines[0].startswith("  L2:Cov(time_i[level2id],  ")
    assert lines[1] == "    Intercept[level2id])"
    lines = layout.row("(first_variable-its_mean_j)*random_slope_of_it_j", [layout.number(1.0)])
    assert [line.strip() for line in lines][1] == "random_slope_of_it_j"


# ------------------------------------------------------------------ JSON
def test_report_can_be_rendered_from_json(document):
    text = document_to_json(document)
    again = document_from_json(text)
    assert render_report(again) == render_report(document)
    assert document_to_json(again) == text


def test_nan_is_null_in_json(document):
    tests = [dataclasses.replace(document.fit.wald[0], statistic=float("nan"))]
    made = dataclasses.replace(document, fit=dataclasses.replace(document.fit, wald=tests))
    text = document_to_json(made)
    assert json.loads(text)["fit"]["wald"][0]["statistic"] is None
    assert render_report(document_from_json(text)) == render_report(made)


def test_json_follows_its_schema(document):
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    validator.check_schema(validator.schema)
    validator.validate(json.loads(document_to_json(document)))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**json.loads(document_to_json(document)), "surplus": 1})


def test_schema_file_is_that_of_the_dataclasses(golden):
    """When it differs, raise VERSION if the meaning changed, and write the file anew with --update-golden."""
    golden(SCHEMA, json.dumps(schema.document_schema(), indent=2) + "\n")


@pytest.mark.parametrize("text", ["[]", "{}", '{"version": "0.0"}'])
def test_other_json_is_refused(text):
    with pytest.raises(ValueError, match="not a result document"):
        document_from_json(text)


# ------------------------------------------------------------------ parts alone
def test_information_can_be_rendered_alone(document):
    report = render_report(document)
    assert render_model_information(document.model) in report
    assert render_data_information(document.data) in report


def test_rendering_needs_neither_numba_nor_scipy():
    code = (
        "import sys, mlbayes.output.report, mlbayes.output.json_file, mlbayes.output.saves;"
        "print([name for name in ('numba', 'scipy', 'rich') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
