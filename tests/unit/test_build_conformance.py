"""Every conformance script builds, and its model agrees with what the reference program printed."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from typing import Any

import numpy as np
import pytest
from scripts import CONFORMANCE, DATA, REFERENCE, with_conformance_scripts

from mlbayes.data.read import read_table
from mlbayes.data.transform import apply_transforms
from mlbayes.language.parse import parse_script, read_source
from mlbayes.model.build import build_model
from mlbayes.model.describe import describe
from mlbayes.model.model import Model
from mlbayes.model.patterns import data_information
from mlbayes.results.document import Block

pytestmark = with_conformance_scripts
SCRIPTS = [path.stem for path in CONFORMANCE]

# The scripts without "-centred" have one centred predictor fewer than their reference.
FEWER_CENTRED = {f"ex6.{n}" for n in ("1", "3a", "3b", "4", "7", "8", "9b")}
# References whose variables had other names when they were made.
RENAMED = {"ex6.23", "ex6.24-uncentred"}
# Redundant brackets of a quantity, and blanks in definitions, are not kept.
OTHER_BRACKETS = {"ex6.13"}


@cache
def cases() -> dict[str, str | None]:
    """The reference of each script."""
    table = tomllib.loads((REFERENCE / "cases.toml").read_text())["cases"]
    return {name: case.get("reference") for name, case in table.items()}


@cache
def model_of(name: str) -> Model:
    source = read_source(REFERENCE / "scripts" / f"{name}.imp")
    script, syntax = parse_script(source)
    assert syntax == []
    assert script.data is not None
    identifiers = [identifier.name for identifier in script.cluster_ids]
    table = read_table(
        DATA / script.data.text,
        tuple(variable.name for variable in script.variables),
        tuple(word.text for word in script.missing),
        frozenset(identifiers),
    )
    table, computed = apply_transforms(table, script.transform, identifiers)
    assert computed == []
    model, problems = build_model(script, table, np.arange(table.rows))
    assert problems == []
    assert model is not None
    return model


def reference_of(name: str) -> dict[str, Any]:
    reference = cases().get(name) or cases().get(f"{name}-centred")
    if reference is None:
        pytest.skip("the script has no reference")
    found: dict[str, Any] = json.loads((REFERENCE / "reference" / f"{reference}.json").read_text())
    return found


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_builds(name: str) -> None:
    model = model_of(name)
    assert model.equations or model.imputation
    for equation in model.equations:
        assert all(term.coefficient in model.parameters for term in equation.terms)
        assert equation.residual is None or equation.residual in model.parameters


@pytest.mark.parametrize("name", SCRIPTS)
def test_data_information(name: str) -> None:
    expected = reference_of(name)["data"]
    found = data_information(model_of(name))
    assert found.sample_size == expected["sample_size"]
    assert found.identifiers == expected["identifiers"]
    assert found.clusters == expected["clusters"]
    assert found.dummies == expected.get("dummies", {})
    assert [(row.variable, round(row.percent, 1)) for row in found.missing] == list(
        expected["missing"].items()
    )
    assert {row.variable: row.patterns for row in found.missing} == expected["patterns"]
    assert [round(share, 1) for share in found.pattern_percent] == expected["pattern_percent"]
    assert found.hidden_patterns == 0 or len(found.pattern_percent) == 10


@pytest.mark.parametrize("name", SCRIPTS)
def test_numbers_of_parameters_and_groups_of_predictors(name: str) -> None:
    expected = reference_of(name)["model"]
    found = describe(model_of(name))
    assert found.parameters == expected["NUMBER OF PARAMETERS"]
    assert joined(found.predictors) == (expected.get("PREDICTORS") or expected.get("VARIABLES") or {})
    assert joined(found.cluster_means) == expected.get("LATENT CLUSTER MEANS", {})
    if name not in RENAMED:
        levels = {f"Level-{level}": names for level, names in found.factors.items()}
        assert joined(levels) == expected.get("FACTORS", {})
    if name not in FEWER_CENTRED:
        assert joined(found.centered) == expected.get("CENTERED PREDICTORS", {})


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - RENAMED))
def test_printed_models(name: str) -> None:
    expected = reference_of(name)["model"]
    found = describe(model_of(name))
    assert found.models == blocks(expected.get("MODELS", []))
    effects = [text for block in blocks(expected.get("NAMED RANDOM EFFECTS", [])) for text in block.models]
    assert found.random_effects == effects
    if name not in OTHER_BRACKETS:
        generated = [
            text for block in blocks(expected.get("GENERATED PARAMETERS", [])) for text in block.models
        ]
        assert found.generated == generated


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - RENAMED))
def test_rows_of_the_coefficient_tables(name: str) -> None:
    tables = {t["name"]: t for t in reference_of(name)["tables"] if t["kind"] in ("outcome", "latent")}
    for equation in model_of(name).equations:
        rows = tables[equation.title]["rows"]
        expected = [row["parameter"] for row in rows if row["section"] == "Coefficients"]
        assert [term.label for term in equation.terms if not term.hidden] == expected
        fixed = [row["fixed"] for row in rows if row["section"] == "Coefficients"]
        parameters = model_of(name).parameters
        assert [parameters[t.coefficient].fixed is not None for t in equation.terms if not t.hidden] == fixed


@pytest.mark.parametrize("name", SCRIPTS)
def test_rows_of_the_random_effects(name: str) -> None:
    tables = {t["name"]: t for t in reference_of(name)["tables"] if t["kind"] == "outcome"}
    for equation in model_of(name).equations:
        rows = tables.get(equation.title, {"rows": []})["rows"]
        expected = [r["parameter"].replace(" ", "") for r in rows if r["section"] == "Variances"]
        found = []
        for random in equation.random:
            for i, row in enumerate(random.labels):
                found += [f"L{random.level}:Cov({row},{column})" for column in random.labels[:i]]
                found.append(f"L{random.level}:Var({row})")
        assert found == [label for label in expected if label.startswith("L")]


@pytest.mark.parametrize("name", SCRIPTS)
def test_rows_of_the_predictor_tables(name: str) -> None:
    expected = [
        (t["kind"] == "means", t["name"], [f"{r['section']}|{r['parameter']}" for r in t["rows"] if slope(r)])
        for t in reference_of(name)["tables"]
        if t["part"] == "predictor-models" or t["kind"] == "fcs"
    ]
    found = [
        (m.means_only, m.variable, [f"Level {p.level}|{label}" for p in m.parts for label in p.labels])
        for m in model_of(name).predictor_models
    ]
    assert found == expected


def slope(row: dict[str, Any]) -> bool:
    """Is this a slope of a predictor model."""
    return (row["section"] or "").startswith("Level") and row["parameter"] != "Residual Var."


def joined(groups: dict[str, list[str]]) -> dict[str, str]:
    return {title: " ".join(names) for title, names in groups.items()}


def blocks(entries: list[dict[str, Any]]) -> list[Block]:
    """Blocks of the reference as those of the document."""
    return [Block(entry["block"], [text for _, text in entry["models"]]) for entry in entries]
