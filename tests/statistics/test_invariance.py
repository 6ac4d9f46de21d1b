"""What must not change a draw: threads, other chains, looks at a chain, names, codes, forms of files and scripts.

What must leave the posterior alone though draws change is in test_equivalent_posteriors.py.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import naive
import numpy as np
import pytest
from rates import critical
from toys import Running, generator, holed, model_of, two_level

from mlbayes import pipeline
from mlbayes.engine.chains import Chain
from mlbayes.engine.sweep import interpreter, run_linear_sweeps, run_sweeps
from mlbayes.plan.choose import make_plan
from mlbayes.source import Source

MODEL = "MODEL: y ~ x z w | x;"
HEAD = "DATA: data.csv; MISSING: NA; CLUSTERID: g; CENTER: groupmean = x; "
TAIL = " SEED: 7; BURN: 60; ITER: 90; CHAINS: 3; NIMPS: 3;"


def columns():
    return holed(two_level, ("y", "x", "z", "w"))


class Silent:
    silent = True

    def update(self, chain, iteration, total, rhat):
        pass


def write_data(folder: Path, table: dict[str, np.ndarray]) -> None:
    lines = [",".join(table)]
    for row in zip(*table.values(), strict=True):
        lines.append(",".join("NA" if np.isnan(x) else repr(float(x)) for x in row))
    (folder / "data.csv").write_text("\n".join(lines) + "\n")


def report(folder: Path, text: str, threads: int) -> str:
    source = Source(folder / "model.inp", text)
    options = pipeline.RunOptions(threads=threads)
    model, _ = pipeline.understand(source, options)
    made = pipeline.plan(model)
    draws = pipeline.sample(made, threads, Silent(), threading.Event())
    return pipeline.write([pipeline.summarise(model, draws)], options)


def test_threads_do_not_change_a_byte(tmp_path):
    write_data(tmp_path, columns())
    reports = [report(tmp_path, HEAD + MODEL + TAIL, threads) for threads in (1, 2, 4)]
    assert len(reports[0]) > 1000
    assert reports[0] == reports[1] == reports[2]


def test_two_runs_are_the_same_and_another_seed_is_not(tmp_path):
    write_data(tmp_path, columns())
    one, two = (report(tmp_path, HEAD + MODEL + TAIL, 2) for _ in range(2))
    other = report(tmp_path, HEAD + MODEL + TAIL.replace("SEED: 7", "SEED: 8"), 2)
    assert one == two != other


def records(
    text: str,
    table: dict[str, np.ndarray],
    number: int,
    chains: int = 3,
    total: int = 120,
    imputations: int = 0,
) -> np.ndarray:
    """The records of one chain."""
    model = model_of(text, table)
    settings = replace(model.settings, seed=7, burn=60, iterations=(total - 60) * chains, chains=chains)
    settings = replace(settings, imputations=imputations)
    chain = Chain(make_plan(replace(model, settings=settings)), number, np.zeros(1, np.int64))
    chain.run()
    return chain.records


def test_a_chain_is_the_same_whatever_the_number_of_chains():
    table = columns()
    found = [records(HEAD + MODEL, table, 1, chains) for chains in (2, 3, 5)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.array_equal(found[0], records(HEAD + MODEL, table, 0, 2))


def test_a_chain_does_not_know_how_often_it_is_looked_at():
    """Of 500 draws a chain is looked at in 250, 500 or, to save data, in some more; y is imputed in each look."""
    table = columns()
    alone = records(HEAD + MODEL, table, 0, 1, total=560)
    np.testing.assert_array_equal(alone, records(HEAD + MODEL, table, 0, 4, total=560))
    np.testing.assert_array_equal(alone, records(HEAD + MODEL, table, 0, 4, total=560, imputations=30))


def test_an_interrupted_chain_is_the_beginning_of_the_whole_one():
    table = columns()
    whole = records(HEAD + MODEL, table, 0, total=300)
    model = model_of(HEAD + MODEL, table)
    settings = replace(model.settings, seed=7, burn=60, iterations=720, chains=3)
    flag = np.zeros(1, np.int64)
    chain = Chain(make_plan(replace(model, settings=settings)), 0, flag)
    while chain.done < 100:
        chain.advance()
    flag[0] = 1
    assert not chain.advance()
    assert 100 <= chain.done < 300
    np.testing.assert_array_equal(chain.records[: chain.done], whole[: chain.done])


def text_of(table: dict[str, np.ndarray], words: dict[str, str], separator: str, missing: str) -> str:
    """A data file; `words`: what stands before the numbers of a column, which become text."""
    lines = [separator.join(table)]
    for row in zip(*table.values(), strict=True):
        cells = []
        for name, x in zip(table, row, strict=True):
            cells.append(missing if np.isnan(x) else words.get(name, "") + repr(float(x)))
        lines.append(separator.join(cells))
    return "\n".join(lines) + "\n"


FORMS = {
    "text ids": lambda t: text_of(t, {"g": "school no. "}, ",", "NA"),
    "blanks": lambda t: text_of(t, {}, "  ", "NA"),
    "tabs, Windows line ends": lambda t: text_of(t, {}, "\t", "NA").replace("\n", "\r\n"),
    "byte order mark, empty lines": lambda t: "\ufeff\n" + text_of(t, {}, ",", "NA").replace("\n", "\n\n"),
    "capitals": lambda t: text_of({name.upper(): values for name, values in t.items()}, {}, ",", "NA"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_the_data_file_does_not_change_a_byte(form, tmp_path):
    table = columns()
    (tmp_path / "data.csv").write_text(text_of(table, {}, ",", "NA"))
    expected = report(tmp_path, HEAD + MODEL + TAIL, 1)
    (tmp_path / "data.csv").write_text(FORMS[form](table), newline="")
    found = report(tmp_path, HEAD + MODEL + TAIL, 1)
    if form == "capitals":  # names are printed as the file has them
        found, expected = found.lower(), expected.lower()
    assert found == expected


def test_codes_of_categories_do_not_matter():
    table = columns()
    table["n"] = np.arange(len(table["y"])) % 3.0
    coded = {**table, "n": 10.0 * table["n"] + 7.0, "b": 3.0 + table["b"]}
    for text in (
        "DATA: t; MISSING: NA; NOMINAL: n; MODEL: y ~ x n;",
        "DATA: t; MISSING: NA; NOMINAL: n; ORDINAL: b; MODEL: b ~ x z; n ~ x;",
    ):
        np.testing.assert_array_equal(records(text, table, 0), records(text, coded, 0))


SPLITS = {
    "fixed and random apart": ("MODEL: y ~ 1 x z | 1 x;", "MODEL: y ~ x z | x;"),
    "implied intercept": ("MODEL: y ~ 1 x z w;", "MODEL: y ~ x z w;"),
    "equations one by one": ("MODEL: y ~ x m; m ~ x;", "MODEL: y ~ x m;\nm ~ x;"),
    "two commands": ("MODEL: y ~ x m; m ~ x;", "MODEL: y ~ x m; MODEL: m ~ x;"),
    "a label used once": ("MODEL: y ~ x@a z;", "MODEL: y ~ x z;"),
    "a named block": ("MODEL: y ~ x z;", "MODEL: main: y ~ x z;"),
    "two lines of a product": ("MODEL: y ~ x z x*z;", "MODEL: y ~ x z\n x*z;"),
}


@pytest.mark.parametrize("name", SPLITS)
def test_the_way_a_model_is_written_gives_identical_draws(name):
    table = columns()
    one, two = (records("DATA: t; MISSING: NA; CLUSTERID: g; " + text, table, 0) for text in SPLITS[name])
    np.testing.assert_array_equal(one, two)


def test_names_of_clusters_and_variables_do_not_matter():
    table = columns()
    renamed = {("pupils" if name == "x" else name): values for name, values in table.items()}
    renamed["g"] = 1000.0 - 3.0 * renamed["g"]  # in order of appearance they are as before
    text = HEAD + MODEL
    other = text.replace("x z w | x", "pupils z w | pupils").replace("= x", "= pupils")
    np.testing.assert_array_equal(records(text, table, 0), records(other, renamed, 0))


def test_columns_that_are_not_used_do_not_matter():
    table = columns()
    more = {"q": generator(3).normal(size=len(table["y"])), **table}
    np.testing.assert_array_equal(records(HEAD + MODEL, table, 0), records(HEAD + MODEL, more, 0))


def test_order_of_rows_gives_the_same_posterior():
    table = columns()
    order = generator(4).permutation(len(table["y"]))
    shuffled = {name: values[order] for name, values in table.items()}
    text = "DATA: t; MISSING: NA; CLUSTERID: g; OPTIONS: prior1; MODEL: y ~ x w | x;"
    a = records(text, table, 0, total=8060)[60:]
    b = records(text, shuffled, 1, total=8060)[60:]
    widths = [k for k in range(a.shape[1]) if a[:, k].std() > 0.0]
    for k in widths:
        # medians of skewed numbers: compare how often each lies below a common point
        point = np.median(np.concatenate([a[:, k], b[:, k]]))
        z = naive.difference_in_errors(a[:, k], b[:, k], lambda x, c=point: (x < c).astype(float))
        assert abs(z) < critical(60), k


def test_scale_of_the_outcome_scales_its_results():
    """With flat priors everything of y is multiplied; draws are equal but for rounding and starting values."""
    table = columns()
    table["y"] = holed(two_level, ())["y"]
    text = "DATA: t; MISSING: NA; CLUSTERID: g; FIXED: m; MODEL: y ~ m;"
    table["m"] = holed(two_level, ())["m"]
    scaled = {**table, "y": 4.0 * table["y"]}  # a power of two: no rounding
    a, b = records(text, table, 0), records(text, scaled, 0)
    planned = make_plan(model_of(text, table))
    place = planned.layout.equations[0]
    at = place.coefficients
    np.testing.assert_allclose(b[:, at : at + 2], 4.0 * a[:, at : at + 2], rtol=1e-6)


def test_sweeps_are_compiled_once_for_all_models():
    for text in ("MODEL: y ~ x z;", "CLUSTERID: g; MODEL: y ~ x | x;", "ORDINAL: b; MODEL: y ~ b x^2;"):
        records("DATA: t; MISSING: NA; " + text, columns(), 0, total=70)
    assert len(run_sweeps.signatures) == len(run_linear_sweeps.signatures) == 1


def test_both_interpreters_draw_the_same():
    """Linear models are run by the smaller one; it is the same sweep."""
    planned = make_plan(model_of(HEAD.replace("data.csv", "t") + MODEL, columns()))
    assert interpreter(planned.plan) is run_linear_sweeps
    found = []
    for run in (run_linear_sweeps, run_sweeps):
        running = Running.start(planned)
        out = np.zeros((40, planned.layout.width))
        flag = np.zeros(1, dtype=np.int64)
        done = run(planned.plan, running.store, 0, 40, 20, out, flag, running.rng, running.work)
        assert done == (40, -1)
        found.append(out)
    np.testing.assert_array_equal(*found)
