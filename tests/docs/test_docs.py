"""The documentation does not rot: its tables are current and its links lead somewhere."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/README.md")])


def test_the_tables_of_the_manual_are_current():
    spec = importlib.util.spec_from_file_location("update", ROOT / "docs" / "update.py")
    update = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(update)
    text = update.MANUAL.read_text(encoding="utf-8")
    assert update.renewed(text) == text, "run: python docs/update.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert "://" in link or (page.parent / link).exists(), link


def test_the_model_of_the_readme_is_the_example():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = (ROOT / "examples/two_level_missing/model.inp").read_text(encoding="utf-8").splitlines()
    assert "\n".join(line for line in lines if not line.startswith("#")) in readme


def test_every_package_is_installed():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "mlbayes").rglob("__init__.py")
    }
    assert found | {"mlbayes.grammar"} == set(packages)
