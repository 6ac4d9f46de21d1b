import errno
import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from toys import plan_of, two_level

from mlbayes.console import SilentProgress
from mlbayes.engine import chains, records
from mlbayes.engine.records import Records
from mlbayes.problems import ProblemError

MANY = (2, 1000, 1500)  # 24 MB


def mapped_megabytes() -> float:
    """Memory of this process that lies in files."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"RssFile:\s+(\d+) kB", status)
    assert found is not None
    return float(found[1]) / 1024


def test_few_records_stay_in_memory(tmp_path):
    kept = Records((2, 10, 3), tmp_path)
    assert kept.values.shape == (2, 10, 3)
    assert records.on_disk((2, 10, 3)) == 0
    kept.release()


def test_many_records_are_in_a_file_without_a_name(tmp_path):
    kept = Records(MANY, tmp_path)
    numbers = np.random.default_rng(1).normal(size=MANY)
    kept.values[:] = numbers
    kept.release()
    assert np.array_equal(kept.values, numbers)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the system does not say what lies in files"
)
def test_memory_is_given_back(tmp_path):
    kept = Records(MANY, tmp_path)
    before = mapped_megabytes()
    kept.values[:] = 1.0
    written = mapped_megabytes()
    kept.release()
    assert written > before + 20
    assert mapped_megabytes() < before + 4


def test_a_full_disk_is_said_at_the_beginning(tmp_path, monkeypatch):
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ProblemError, match="No space left on device"):
        Records(MANY, tmp_path)


def test_draws_do_not_depend_on_where_they_are(monkeypatch):
    planned = plan_of(
        "DATA: t.csv; CLUSTERID: g; MODEL: y ~ x | x; SEED: 5; BURN: 20; ITER: 60;", two_level(seed=3)
    )

    def coefficients() -> np.ndarray:
        draws = chains.run_chains(planned, 2, SilentProgress(), threading.Event())
        return draws.equations[0].coefficients

    inside = coefficients()
    monkeypatch.setattr(records, "IN_MEMORY", 0)
    assert np.array_equal(coefficients(), inside)
