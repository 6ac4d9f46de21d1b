"""Runs that do not fit into memory or onto the disk are refused before they begin."""

from types import SimpleNamespace

import pytest
from modelling import built

from mlbayes.engine import memory
from mlbayes.plan.choose import make_plan
from mlbayes.problems import ProblemError

SCRIPT = "MODEL: y ~ x; NIMPS: 100; BURN: 10; ITER: 4000;"


def refused(monkeypatch: pytest.MonkeyPatch, memory_bytes: float, disk_bytes: float) -> tuple[str, str]:
    """The message, and the text at its place."""
    monkeypatch.setattr(memory, "physical_memory", lambda: memory_bytes)
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda _: SimpleNamespace(free=disk_bytes))
    with pytest.raises(ProblemError) as caught:
        memory.check_memory(make_plan(built(SCRIPT)))
    (problem,) = caught.value.problems
    return problem.message, SCRIPT[problem.span.start : problem.span.end] if problem.span else ""


def test_data_sets_that_no_disk_can_hold(monkeypatch):
    message, place = refused(monkeypatch, 1e12, 1000.0)
    assert message.startswith("100 data sets need ") and " of disk" in message
    assert place.startswith("NIMPS")


def test_draws_that_no_memory_can_hold(monkeypatch):
    message, place = refused(monkeypatch, 1000.0, 1e12)
    assert message.startswith("the draws need ") and " of memory" in message
    assert place.startswith("ITER")


def test_what_fits_is_not_refused(monkeypatch):
    monkeypatch.setattr(memory, "physical_memory", lambda: 1e12)
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda _: SimpleNamespace(free=1e12))
    memory.check_memory(make_plan(built(SCRIPT)))
