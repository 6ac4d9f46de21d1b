import dataclasses
import math
import os
import time

import numpy as np
import pytest
import synthetic

from mlbayes.output import atomic
from mlbayes.output.atomic import Place, write_bytes
from mlbayes.output.columns import Format, cells, table_text, whole_columns
from mlbayes.output.saves import Imputations, Results, write_saves, write_table
from mlbayes.problems import ProblemError, ProblemKind
from mlbayes.results.build import build_document, parameter_draws
from mlbayes.results.conditional import conditional_tables
from mlbayes.results.parameters import Parameters

NAMES = ["id", "y", "x"]
BLOCK = np.array([[1.0, 2.5, np.nan], [2.0, -0.125, 3.0], [30.0, 1234.56789, 0.0]])


@pytest.fixture(scope="module")
def results():
    model, draws = synthetic.make_model(), synthetic.make_draws()
    document = build_document(model, *synthetic.make_information(), draws)
    imputations = Imputations(NAMES, [BLOCK, BLOCK + 0.5], original=BLOCK, mean=BLOCK, variance=BLOCK)
    return Results(
        document,
        draws.burn,
        draws.kept,
        rows=parameter_draws(model, draws),
        conditional=conditional_tables(2, model, draws, Parameters(model, draws)),
        imputations=imputations,
        missing="999",
    )


def save(results, folder, *saves):
    return [path.read_text() for path in write_saves(saves, results, Place(folder))]


def text_of(values, decimals=4, missing=b"NA"):
    return [bytes(line).decode().strip() for line in cells(np.array(values, float), decimals, missing)]


# ------------------------------------------------------------------ numbers as text
def test_cells_equal_python_formatting():
    rng = np.random.default_rng(1)
    values = rng.standard_normal(5000) * 10.0 ** rng.integers(-6, 9, 5000)
    for got, value in zip(text_of(values), values, strict=True):
        assert float(got) == pytest.approx(value, abs=5.0001e-5)
        assert len(got.partition(".")[2]) == 4


def test_cells_with_signs_zeros_and_missing_ones():
    assert text_of([0.0, -0.00001, -1.5, 12.0, np.nan]) == ["0.0000", "0.0000", "-1.5000", "12.0000", "NA"]
    assert text_of([0, -7, 10, 999], decimals=0) == ["0", "-7", "10", "999"]
    assert text_of([np.nan], missing=b"-99") == ["-99"]
    assert text_of([np.inf, 1e300, 1.0]) == ["inf", "1e+300", "1"]
    assert text_of([]) == []


def test_a_million_rows_take_seconds():
    block = np.random.default_rng(1).standard_normal((100_000, 10))
    start = time.process_time()
    size = sum(len(part) for part in table_text(block, whole_columns([block]), Format(False, True)))
    assert size > 6_000_000
    assert time.process_time() - start < 3.0


# ------------------------------------------------------------------ imputed data
def test_comma_separated_table(tmp_path):
    write_table(tmp_path / "a.csv", NAMES, BLOCK, Format.of("a.csv", "NA"))
    assert (tmp_path / "a.csv").read_text() == ("id,y,x\n1,2.5000,NA\n2,-0.1250,3\n30,1234.5679,0\n")


def test_fixed_columns(results, tmp_path):
    (text,) = save(results, tmp_path, ("stacked", "imps.dat"))
    lines = text.splitlines()
    assert lines[0] == "           1       1.0000       2.5000          999"
    assert lines[3].split() == ["2", "1.5000", "3.0000", "999"]
    assert {len(line) for line in lines} == {4 * 13 - 1}


def test_stacked_imputations(results, tmp_path):
    (text,) = save(results, tmp_path, ("stacked", "imps.csv"))
    lines = text.splitlines()
    assert lines[0] == "imp#,id,y,x"
    assert lines[1] == "1,1.0000,2.5000,999"
    assert lines[4] == "2,1.5000,3.0000,999"
    assert len(lines) == 7


def test_original_data_are_imputation_0(results, tmp_path):
    (text,) = save(results, tmp_path, ("stacked0", "imps.csv"))
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == list("000111222")


def test_separate_files_and_their_list(results, tmp_path):
    paths = write_saves([("separate", "imp*.csv")], results, Place(tmp_path))
    assert [path.name for path in paths] == ["imp1.csv", "imp2.csv", "implist.dat"]
    assert paths[2].read_text() == "imp1.csv\nimp2.csv\n"
    assert paths[0].read_text().splitlines()[1] == "1.0000,2.5000,999"


def test_means_over_draws_have_a_header_in_any_format(results, tmp_path):
    texts = save(results, tmp_path, ("avgimp", "avgimp.dat"), ("varimp", "varimp.csv"))
    assert texts[0].splitlines()[0].split() == NAMES
    assert texts[1].splitlines()[0] == "id,y,x"
    assert len(texts[1].splitlines()) == 4


def test_means_over_draws_need_no_data_sets(results, tmp_path):
    made = dataclasses.replace(results.imputations, blocks=[])
    texts = save(dataclasses.replace(results, imputations=made), tmp_path, ("avgimp", "avg.csv"))
    assert texts[0].splitlines()[0] == "id,y,x"
    with pytest.raises(ProblemError, match="not kept"):
        save(dataclasses.replace(results, imputations=None), tmp_path, ("avgimp", "avg.csv"))


def test_data_without_imputations_cannot_be_saved(results, tmp_path):
    with pytest.raises(ProblemError, match="no imputed data"):
        write_saves([("stacked", "a.dat")], Results(results.document, 0, 0), Place(tmp_path))


# ------------------------------------------------------------------ results
def test_estimates_iterations_and_psr_have_the_same_parameters(results, tmp_path):
    saves = (("estimates", "estimates.csv"), ("iterations", "iter.csv"), ("psr", "psr.csv"))
    estimates, iterations, psr = save(results, tmp_path, *saves)
    count = len(results.rows)
    assert estimates.splitlines()[0] == "Estimate,StdDev,2.5%,97.5%,ChiSq,PValue,N_Eff"
    assert len(estimates.splitlines()) == count + 1
    table = np.genfromtxt(iterations.splitlines(), delimiter=",")
    assert table.shape == (synthetic.CHAINS * synthetic.KEPT, count)
    rhats = np.genfromtxt(psr.splitlines(), delimiter=",")
    assert rhats.shape == (20, count)
    highest = [checkpoint.rhat for checkpoint in results.document.psr]
    np.testing.assert_allclose(np.nanmax(rhats, axis=1), np.array(highest, float), rtol=1e-8)
    medians = [float(line.split(",")[0]) for line in estimates.splitlines()[1:]]
    np.testing.assert_allclose(medians, np.median(table, axis=0), rtol=1e-8)


def test_variances_have_tests_in_the_file_of_estimates(results, tmp_path):
    (text,) = save(results, tmp_path, ("estimates", "estimates.csv"))
    first = [float(cell) for cell in text.splitlines()[1].split(",")]
    row = results.document.outcome_tables[0].rows[0]
    assert first[4] == pytest.approx((row.mean / row.sd) ** 2)


def test_one_file_of_draws_per_chain(results, tmp_path):
    paths = write_saves([("iterations", "iter*.csv")], results, Place(tmp_path))
    assert [path.name for path in paths] == ["iter1.csv", "iter2.csv", "iter3.csv", "iter4.csv"]
    second = np.genfromtxt(paths[1], delimiter=",")
    np.testing.assert_allclose(second[:, 0], results.rows[0].values[1, synthetic.BURN :], rtol=1e-8)


def test_wald_tests_and_conditional_effects(results, tmp_path):
    wald, simple = save(results, tmp_path, ("waldtest", "waldtest.csv"), ("simple", "simple.csv"))
    assert wald.splitlines()[0] == "test_number,df,statistic,probability"
    assert wald.splitlines()[1].startswith("1,2,")
    head = simple.splitlines()[0].split(",")
    assert head[:2] == ['"SLOPE: y ~ x | m @ +1 SD"', '"INTER: y ~ x | m @ +1 SD"']
    assert len(head) == 6
    assert len(simple.splitlines()) == 1 + synthetic.CHAINS * synthetic.KEPT


def test_conditional_effects_of_logits(results, tmp_path):
    """A pair of columns for each logit."""
    (table,) = results.conditional
    rows = [dataclasses.replace(row, category=f"n.{code}") for code in (2, 3) for row in table.rows]
    doubled = dataclasses.replace(results, conditional=[dataclasses.replace(table, rows=rows)])
    (simple,) = save(doubled, tmp_path, ("simple", "simple.csv"))
    head = simple.splitlines()[0].split(",")
    assert len(head) == 12
    assert head[0] == '"SLOPE: y ~ n.2 ~ x | m @ +1 SD"'
    assert head[6] == '"SLOPE: y ~ n.3 ~ x | m @ +1 SD"'


# ------------------------------------------------------------------ safety
def problem(info):
    (found,) = info.value.problems
    assert found.kind is ProblemKind.FILE
    return found.message


@pytest.mark.parametrize("name", ["../a.csv", "/tmp/a.csv", "sub/../../a.csv"])
def test_files_stay_in_the_folder_of_the_script(results, tmp_path, name):
    with pytest.raises(ProblemError) as info:
        write_saves([("estimates", name)], results, Place(tmp_path))
    assert "outside" in problem(info)


def test_files_may_leave_the_folder_when_allowed(results, tmp_path):
    (tmp_path / "in").mkdir()
    write_saves([("estimates", "../a.csv")], results, Place(tmp_path / "in", allow_outside=True))
    assert (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("name", ["data.dat", "./data.dat", "link.dat"])
def test_inputs_are_not_overwritten(results, tmp_path, name):
    data = tmp_path / "data.dat"
    data.write_text("1 2 3\n")
    os.link(data, tmp_path / "link.dat")
    with pytest.raises(ProblemError) as info:
        write_saves([("estimates", name)], results, Place(tmp_path, (data,)))
    assert "input" in problem(info)
    assert data.read_text() == "1 2 3\n"


def test_nothing_is_written_when_a_later_name_is_bad(results, tmp_path):
    with pytest.raises(ProblemError):
        write_saves([("estimates", "a.csv"), ("psr", "../b.csv")], results, Place(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_two_results_need_two_files(results, tmp_path):
    with pytest.raises(ProblemError, match="two results"):
        write_saves([("estimates", "a.csv"), ("psr", "a.csv")], results, Place(tmp_path))


def test_unknown_keyword(results, tmp_path):
    with pytest.raises(ProblemError, match="does not know"):
        write_saves([("estimate", "a.csv")], results, Place(tmp_path))


def test_a_missing_folder_is_a_problem(results, tmp_path):
    with pytest.raises(ProblemError) as info:
        write_saves([("estimates", "sub/a.csv")], results, Place(tmp_path))
    assert "does not exist" in problem(info)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def parts():
        yield b"new"
        raise OSError(28, "No space left on device")

    with pytest.raises(ProblemError) as info:
        write_bytes(path, parts())
    assert "No space left" in problem(info)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_written_files_have_the_usual_rights(tmp_path):
    write_bytes(tmp_path / "a", [b"x"])
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_formats():
    assert atomic.Place is Place
    assert Format.of("A.DAT", "999") == Format(True, False, "999")
    assert Format.of("a.dat", "999", True).header
    assert Format.of("a.csv", "NA") == Format(False, True, "NA")
    assert math.isnan(BLOCK[0, 2])
