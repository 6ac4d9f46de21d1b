"""The text of a script: files, comments, characters, commands, labels."""

from pathlib import Path

import pytest

from mlbayes.language.nodes import Name, Regression, Word
from mlbayes.language.parse import parse_script, read_source
from mlbayes.problems import ProblemError, ProblemKind
from mlbayes.source import Source, Span


def parse(text):
    script, problems = parse_script(Source(Path("model.imp"), text))
    assert not problems
    return script


def messages(text):
    return [problem.message for problem in parse_script(Source(Path("model.imp"), text))[1]]


def names(nodes):
    return [node.name for node in nodes]


def test_case_comments_dashes_and_line_ends(tmp_path):
    path = tmp_path / "model.imp"
    path.write_bytes(
        b"\xef\xbb\xbf#! nightly\r\nVariables: Y X1:X3;  # ids; not VARIABLES: z\r\n"
        b"MODEL:\tY ~ X1 # first; half\r\n  (X2 \xe2\x80\x93 3);;\r\nx1 \xe2\x80\x93> x2; ;\r\n"
    )
    source = read_source(path)
    script, problems = parse_script(source)
    assert not problems
    assert names(script.variables) == ["y", "x1", "x2", "x3"]
    assert len(script.model) == 2
    assert source.line_and_column(script.model[1].span.start) == (5, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"DATA: a\0b;", "NUL"),
        (b"DATA: \xff\xfe;", "byte 7 of this line is not UTF-8"),
        (None, "no such file"),
        ("folder", "a folder"),
        (b" " * 1_000_001, "at most 1,000,000 bytes"),
    ],
)
def test_unreadable_files(tmp_path, content, message):
    path = tmp_path / "model.imp"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ProblemError, match=message) as caught:
        read_source(path)
    assert caught.value.problems[0].kind is ProblemKind.FILE


def test_impossible_path():
    with pytest.raises(ProblemError, match="cannot be read"):
        read_source(Path("a\0b"))


def test_commands_share_lines_and_accumulate():
    script = parse(
        "CLUSTERID: id; TIMEID: week; ORDINAL: a; MODEL:  ;FCS: x y;ORDINAL: b; OPTIONS: hev; options: joint;"
    )
    assert names(script.ordinal) == ["a", "b"]
    assert script.time_id == Name("week")
    assert script.model == ()
    assert [word.text for word in script.options] == ["hev", "joint"]
    assert script.command_spans["ordinal"] == Span(29, 36)


@pytest.mark.parametrize("alias", ["ITERATIONS: 7;", "ITER: 7;", "iter : 0007 ;"])
def test_settings(alias):
    script = parse(alias + "CHAINS: 4 processors 4; WEIGHTS: w;")
    assert (script.iterations.value, script.chains.value, names(script.weights)) == (7, 4, ["w"])


def test_files_keep_their_case():
    script = parse('DATA: "My data #1.dat"; SAVE: STACKED = Imps.csv; psr = sub/p.csv; MISSING: NA;')
    assert script.data == Word("My data #1.dat")
    assert [(save.keyword.text, save.file.text) for save in script.save] == [
        ("stacked", "Imps.csv"),
        ("psr", "sub/p.csv"),
    ]
    assert script.missing == (Word("NA"),)
    assert parse("DATA: C:\\files\\a.dat;").data == Word("C:\\files\\a.dat")


def test_labels_and_ranges_share_the_colon():
    script = parse(
        "MODEL: y1:y2 ~ x; y1: y2 ~ x; 1:y ~ x1:x2; structural.model: z ~ x; m:w ~ x; MODEL: y ~ x;"
    )
    regressions = [node for node in script.model if isinstance(node, Regression)]
    assert [node.block for node in regressions] == [None, "y1", "1", "structural.model", "m", None]
    assert [len(node.outcomes) for node in regressions] == [2, 1, 1, 1, 1, 1]
    assert names(term.expression for term in regressions[2].terms) == ["x1", "x2"]


def test_a_command_wins_wherever_it_stands():
    script = parse("WALDTEST: b1 = 0; b2 = 0;\n  WALDTEST: b3 = 0;TEST: y ~ x;")
    assert [len(test.constraints) for test in script.wald_tests] == [2, 1, 0]
    assert messages("ORDINAL: x\nCOUNT: z;") == ["a ';' is missing before 'COUNT:'"]


def test_every_problem_is_found_and_the_rest_is_read():
    source = Source(Path("m.imp"), "SEED: x;\nMODEL: y ~ x -;\nz ~ w;\nBURN: 10;")
    script, problems = parse_script(source)
    assert [source.line_and_column(problem.span.start)[0] for problem in problems] == [1, 2]
    assert script.burn.value == 10
    assert len(script.model) == 1


def test_errors_are_counted_up_to_a_limit():
    found = messages("MODEL: " + "y ~;" * 500)
    assert len(found) == 101
    assert "the rest was not read" in found[-1]


def test_two_columns_of_one_name() -> None:
    script, problems = parse_script(
        Source(Path("model.inp"), "DATA: d;\nVARIABLES: x1:x3 y\nX2;\nMODEL: y ~ x1;")
    )
    (problem,) = problems
    assert problem.message == "VARIABLES has 'x2' twice; the first one is in line 2, column 12"
    assert script.source.line_and_column(problem.span.start) == (3, 1)
