"""Problems as text: places, carets, long lines."""

from pathlib import Path

import pytest

from mlbayes.problems import WIDEST, Problem, render
from mlbayes.source import Source, Span


def rendered(text, start, end, **more):
    return render(Problem("wrong", Span(start, end), **more), Source(Path("model.inp"), text)).splitlines()


def test_a_short_line_is_shown_whole():
    assert rendered("MODEL: y ~ x;", 11, 12) == [
        "model.inp:1:12: error: wrong",
        "    MODEL: y ~ x;",
        "               ^",
    ]


@pytest.mark.parametrize("start", [0, 3, 49, 51, 400, 945, 951, 996])
def test_a_long_line_is_cropped_around_the_mark(start):
    text = "".join(chr(ord("a") + i % 26) for i in range(1000))
    head, line, caret = rendered(text, start, start + 4)
    assert head == f"model.inp:1:{start + 1}: error: wrong"
    assert len(line) == 4 + WIDEST and len(caret) <= len(line)
    assert line[caret.index("^") : len(caret)] == text[start : start + 4]
    assert line.startswith("    ...") == (start > 48) and line.endswith("...") == (start < 948)


def test_a_mark_longer_than_the_line_that_is_shown():
    _, line, caret = rendered("x" * 5000, 1000, 4000)
    assert line == "    ..." + "x" * (WIDEST - 6) + "..."
    assert len(caret) <= len(line) and caret.count("^") == WIDEST // 2


def test_a_place_is_told_with_and_without_a_span():
    place = "data.csv, line 3"
    assert rendered("DATA: x;", 6, 7, place=place)[0] == f"model.inp:1:7: error: {place}: wrong"
    assert render(Problem("wrong", place=place), None) == f"{place}: error: wrong"
