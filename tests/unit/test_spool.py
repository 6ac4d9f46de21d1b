import errno
import gc
import os

import numpy as np
import pytest

from mlbayes.engine.spool import Snapshots, Spool
from mlbayes.output.saves import Blocks
from mlbayes.problems import ProblemError, ProblemKind
from mlbayes.results.draws import Snapshot


def snapshot(seed, rows=5):
    x, y, z = np.random.default_rng(seed).normal(size=(3, rows))
    return Snapshot({"y": y, "x": x}, {"y.residual": z})


def assert_same(one, other):
    assert list(one.values) == list(other.values) and list(one.added) == list(other.added)
    for name in one.values:
        np.testing.assert_array_equal(one.values[name], other.values[name])
    for name in one.added:
        np.testing.assert_array_equal(one.added[name], other.added[name])


def test_what_was_kept_comes_back_in_any_order(tmp_path):
    spool = Spool(tmp_path)
    for number in (2, 0, 7):
        spool.keep(number, snapshot(number))
    assert len(spool) == 3 and sorted(spool) == [0, 2, 7]
    for number in (7, 2, 0, 2):
        assert_same(spool[number], snapshot(number))
    spool.keep(9, snapshot(9))
    assert_same(spool[9], snapshot(9))
    with pytest.raises(KeyError):
        spool[1]


def test_columns_that_are_not_contiguous(tmp_path):
    spool = Spool(tmp_path)
    values = np.arange(12.0).reshape(4, 3)
    spool.keep(0, Snapshot({"x": values[:, 1]}, {}))
    np.testing.assert_array_equal(spool[0].values["x"], [1.0, 4.0, 7.0, 10.0])


def test_the_file_has_no_name_and_goes_with_the_spool(tmp_path):
    spool = Spool(tmp_path)
    spool.keep(0, snapshot(1, rows=1000))
    assert os.listdir(tmp_path) == []
    file = spool._file
    del spool
    gc.collect()
    assert file.closed


def test_a_folder_that_cannot_be_written_to(tmp_path):
    spool = Spool(tmp_path / "absent")
    spool.keep(3, snapshot(3))
    assert_same(spool[3], snapshot(3))


def test_a_full_disk_is_a_problem_with_a_remedy(tmp_path):
    class Full:
        def seek(self, *place):
            return 0

        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    spool = Spool(tmp_path)
    spool._file = Full()
    with pytest.raises(ProblemError) as caught:
        spool.keep(0, snapshot(0))
    (problem,) = caught.value.problems
    assert problem.kind is ProblemKind.FILE and "No space left" in problem.message and "NIMPS" in problem.hint


def test_snapshots_of_all_chains_in_order(tmp_path):
    spools = [Spool(tmp_path) for _ in range(3)]
    for number in range(8):
        spools[number % 3].keep(number, snapshot(number))
    found = Snapshots(spools)
    assert len(found) == 8
    for number, one in enumerate(found):
        assert_same(one, snapshot(number))
    assert_same(found[-1], snapshot(7))
    assert len(found[2:5]) == 3
    assert not Snapshots([])


def test_blocks_are_made_when_they_are_asked_for():
    made = []
    blocks = Blocks(3, lambda k: made.append(k) or np.full((2, 1), float(k)))
    assert len(blocks) == 3 and not made
    assert [block[0, 0] for block in blocks] == [0.0, 1.0, 2.0]
    assert blocks[1][0, 0] == 1.0 and made == [0, 1, 2, 1]
