"""Every script of a folder beside the repository, when there is one, parses without a problem."""

from scripts import CONFORMANCE, with_conformance_scripts

from mlbayes.language.parse import parse_script, read_source


@with_conformance_scripts
def test_scripts_parse():
    for path in CONFORMANCE:
        script, problems = parse_script(read_source(path))
        assert not problems, path.name
        assert script.model or script.fcs, path.name
        assert script.variables and script.seed, path.name
