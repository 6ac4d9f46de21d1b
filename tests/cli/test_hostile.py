"""Scripts and data by the thousand: whatever they say, what comes out is a result or a problem with a place.

Each is reproduced by its number: `made_script(number)` of hostile_scripts.py.
"""

from __future__ import annotations

import resource
import threading
import time
from pathlib import Path
from random import Random

import pytest
from hostile_scripts import data_text, made_script, mutated_example

from mlbayes import pipeline
from mlbayes.problems import ProblemError, render
from mlbayes.source import Source
from mlbayes.warmup import warm_up

SECONDS, MEGABYTES = 2.0, 500  # of processor time and additional memory
EVERY = 8  # so many scripts are only planned before one is run as well


class Silent:
    silent = True

    def update(self, chain, iteration, total, rhat):
        pass


def go(source: Source, run: bool) -> str:
    """The whole path in memory; the stage that it came to."""
    try:
        parts, _ = pipeline.understand_parts(source)
        planned = [pipeline.plan_part(part) for part in parts]
        if run:
            for part, made in zip(parts, planned, strict=True):
                draws = pipeline.sample(made, 1, Silent(), threading.Event())
                assert pipeline.write([pipeline.summarise(part.model, draws, part.group)], pipeline.DEFAULTS)
    except ProblemError as error:
        assert error.problems
        for problem in error.problems:
            text = render(problem, source)
            assert text.split("\n")[0].partition("error: ")[0].strip(), f"no place: {problem}"
            assert all(c.isprintable() or c == "\n" for c in text)
            assert problem.message
        return "refused"
    return "run" if run else "planned"


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def check(folder: Path, numbers: range) -> dict[str, int]:
    """All scripts of some numbers; how many came how far."""
    found = {"refused": 0, "planned": 0, "run": 0}
    go(Source(folder / "model.inp", ""), False)
    before = megabytes()
    for number in numbers:
        text, data = made_script(number)
        (folder / "data.csv").write_text(data, newline="", encoding="utf-8", errors="surrogatepass")
        written = (folder / "data.csv").stat().st_mtime_ns
        started = time.process_time()
        try:
            found[go(Source(folder / "model.inp", text), number % EVERY == 0)] += 1
        except Exception as error:
            raise AssertionError(f"script {number}: {error!r}") from error
        assert time.process_time() - started < SECONDS + 8.0 * (number % EVERY == 0), number
        assert [path.name for path in folder.iterdir()] == ["data.csv"], number
        assert (folder / "data.csv").stat().st_mtime_ns == written
    assert megabytes() - before < MEGABYTES
    return found


def check_examples(numbers: range) -> int:
    """Damaged examples on their data; how many are still understood."""
    understood = 0
    for number in numbers:
        path, text = mutated_example(number)
        before = sorted((each.name, each.stat().st_mtime_ns) for each in path.parent.iterdir())
        started = time.process_time()
        try:
            understood += go(Source(path, text), False) == "planned"
        except Exception as error:
            raise AssertionError(f"example {number}: {error!r}") from error
        assert time.process_time() - started < SECONDS, number
        assert sorted((each.name, each.stat().st_mtime_ns) for each in path.parent.iterdir()) == before
    return understood


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """Compiling must not count as the time of a script."""
    warm_up()


HEAD = "DATA: data.csv; MISSING: NA; CLUSTERID: g; BURN: 8; ITER: 12; CHAINS: 2; "
ONCE_WRONG = {
    "joint predictors beside a centred outcome": (
        "OPTIONS: joint; CENTER: grandmean = m; MODEL: y ~ m x; m ~ x z;",
        "run",
    ),
    "groups of no rows": ("FILTER: x > 100; BYGROUP: d; MODEL: y ~ x;", "refused"),
    "a covariance of clusters and of rows": ("MODEL: y ~ x; w ~ 1; v ~ 1; w ~~ v; x ~ w;", "run"),
}


@pytest.mark.parametrize("name", ONCE_WRONG)
def test_what_was_once_an_internal_error(name, tmp_path):
    text, expected = ONCE_WRONG[name]
    (tmp_path / "data.csv").write_text(data_text(Random(1), 0.0))
    assert go(Source(tmp_path / "model.inp", HEAD + text), True) == expected


def test_scripts(tmp_path):
    found = check(tmp_path, range(160))
    assert min(found.values()) >= 5, found


def test_damaged_examples():
    assert check_examples(range(40)) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("thousand", range(1, 9))
def test_thousands_of_scripts(thousand, tmp_path):
    found = check(tmp_path, range(1000 * thousand, 1000 * thousand + 1000))
    assert min(found.values()) >= 20, found


@pytest.mark.slow
@pytest.mark.parametrize("thousand", range(1, 3))
def test_thousands_of_damaged_examples(thousand):
    assert check_examples(range(1000 * thousand, 1000 * thousand + 1000)) >= 50
