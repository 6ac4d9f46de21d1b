"""Every script of a folder beside the repository, when there is one, parses without a problem."""

from pathlib import Path

import pytest

from mlbayes.language.parse import parse_script, read_source

FOLDER = Path(__file__).parents[2].parent / "shared" / "conformance" / "scripts"
SCRIPTS = sorted(FOLDER.glob("*.imp"))


@pytest.mark.skipif(not SCRIPTS, reason="no folder of scripts beside the repository")
def test_scripts_parse():
    for path in SCRIPTS:
        script, problems = parse_script(read_source(path))
        assert not problems, path.name
        assert script.model or script.fcs, path.name
        assert script.variables and script.seed, path.name
