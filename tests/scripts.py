"""The scripts that tests go through: the examples and, where these are at hand, those of the reference program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlbayes.source import Source

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
DATA = SHARED / "data"
REFERENCE = SHARED / "conformance"
EXAMPLES = sorted((ROOT / "examples").glob("*/*.inp"))
MODELS = sorted(set(EXAMPLES) - {ROOT / "examples/simulation/data_only.inp"})  # examples that have one
CONFORMANCE = sorted((REFERENCE / "scripts").glob("*.imp"))

with_conformance_scripts = pytest.mark.skipif(
    not CONFORMANCE, reason="the conformance scripts (../shared) are not here"
)
with_shared_data = pytest.mark.skipif(not DATA.is_dir(), reason="the data (../shared/data) are not here")


def title(path: Path) -> str:
    """How a test of a script is called."""
    return f"{path.parent.name}-{path.stem}"


def source_of(path: Path) -> Source:
    """A script with a place that its data can be found from."""
    return Source(DATA / path.name if path in CONFORMANCE else path, path.read_text())


def for_each_example(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test with the `path` of each example that has a model."""
    return pytest.mark.parametrize("path", MODELS, ids=title)(test)


def for_each_conformance_script(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test with the `path` of each conformance script, where these are."""
    return with_conformance_scripts(
        pytest.mark.parametrize("path", CONFORMANCE, ids=lambda path: path.stem)(test)
    )
