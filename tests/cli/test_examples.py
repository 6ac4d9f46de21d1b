"""The examples: reproducible data, a page each, and scripts that are understood."""

import importlib.util
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
