"""`--checkpoint`: a run that was interrupted or killed goes on, and ends with the same bytes as one that was not."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbayes import pipeline
from mlbayes.engine import chains
from mlbayes.engine.checkpoint import Checkpoint, flatten, unflatten
from mlbayes.problems import ProblemError
from mlbayes.source import Source

SAVES = (
    "NIMPS: 6;\nSAVE: stacked = imps.csv; iterations = draws.csv; avgimp = mean.csv; varimp = variance.csv;\n"
)


class StopsAfter(threading.Event):
    """In the place of Ctrl-C: set after some seconds within the run."""

    seconds = 0.15

    def __enter__(self):
        self.timer = threading.Timer(self.seconds, self.set)
        self.timer.start()
        return self

    def __exit__(self, *_):
        self.timer.cancel()


def lengthened(folder: Path, more: str = SAVES) -> None:
    text = (folder / "model.inp").read_text().replace("BURN: 60;\nITER: 80;", "BURN: 4000;\nITER: 24000;")
    (folder / "model.inp").write_text(text + more)


@pytest.mark.parametrize("more", ["", "BYGROUP: half;\n"])
def test_an_interrupted_run_goes_on_to_the_same_bytes(folder, mlbayes, monkeypatch, more):
    if more:
        lines = (folder / "data.csv").read_text().splitlines()
        halves = ["half", *(str(1 + k // 45) for k in range(len(lines) - 1))]
        (folder / "data.csv").write_text("".join(f"{a},{b}\n" for a, b in zip(lines, halves, strict=True)))
    lengthened(folder, SAVES + more)
    whole = mlbayes(folder / "model.inp")
    assert whole.status == 0, whole.err
    names = [path.name for path in folder.iterdir() if path.suffix == ".csv" and path.name != "data.csv"]
    expected = {name: (folder / name).read_bytes() for name in names}
    assert len(names) >= 4
    for name in names:
        (folder / name).unlink()
    kept = folder / "kept"
    for _ in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(pipeline, "Interrupt", StopsAfter)
            stopped = mlbayes(folder / "model.inp", "--checkpoint", kept)
        assert stopped.status == 130, "it ended before it could be interrupted"
        assert list(kept.glob("chain-*.npz"))
    outcome = mlbayes(folder / "model.inp", "--checkpoint", kept)
    assert outcome.status == 0, outcome.err
    assert outcome.out == whole.out
    assert {name: (folder / name).read_bytes() for name in names} == expected
    assert not kept.exists()


class Dies:
    """Progress of a run that is killed once chains have come so far."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def update(self, chain, iteration, total, rhat):
        if iteration >= self.iteration:
            raise SystemError("killed")


class Lives:
    silent = True

    def update(self, chain, iteration, total, rhat):
        pass


def planned(folder: Path):
    script = folder / "model.inp"
    model, _ = pipeline.understand(Source(script, script.read_text()))
    return pipeline.plan(model)


def test_a_killed_run_goes_on_from_the_last_state_that_was_kept(folder):
    lengthened(folder)
    expected = pipeline.sample(planned(folder), 1, Lives(), threading.Event())
    kept = folder / "kept"
    with pytest.raises(SystemError):
        made = planned(folder)
        chains.run_chains(made, 2, Dies(12000), threading.Event(), Checkpoint(kept, made, every=0.0))
    made = planned(folder)
    states = Checkpoint(kept, made)
    chain = chains.Chain(made, 0, np.zeros(1, np.int64), data=states.data_path(0))
    states.load(chain)
    assert 0 < chain.done < chain.total
    found = chains.run_chains(made, 2, Lives(), threading.Event(), Checkpoint(kept, made))
    for name, draws in expected.parameters.items():
        np.testing.assert_array_equal(found.parameters[name], draws)
    for a, b in zip(expected.equations, found.equations, strict=True):
        np.testing.assert_array_equal(a.coefficients, b.coefficients)
    assert len(found.snapshots) == 6
    for a, b in zip(expected.snapshots, found.snapshots, strict=True):
        for name, column in a.values.items():
            np.testing.assert_array_equal(b.values[name], column)


def test_what_a_checkpoint_cannot_be_used_for_is_said(folder, mlbayes, monkeypatch):
    lengthened(folder, "")
    kept = folder / "kept"
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "Interrupt", StopsAfter)
        assert mlbayes(folder / "model.inp", "--checkpoint", kept).status == 130
    other = mlbayes(folder / "model.inp", "--checkpoint", kept, "--seed", "5")
    assert other.status == 3
    assert "chain-0-1.npz: error: this is the checkpoint of another run" in other.err.replace("\n", " ")
    assert "--checkpoint" in other.err
    (kept / "chain-0-1.npz").write_bytes(b"PK\x03\x04 nothing")
    broken = mlbayes(folder / "model.inp", "--checkpoint", kept)
    assert broken.status == 3 and "cannot be read" in broken.err
    assert mlbayes(folder / "model.inp", "--checkpoint", folder / "no" / "such").status == 3
    assert mlbayes(folder / "model.inp", "--checkpoint", folder / "data.csv").status == 3


def test_a_state_that_cannot_be_written_leaves_the_one_before(folder, monkeypatch):
    made = planned(folder)
    states = Checkpoint(folder / "kept", made)
    chain = chains.Chain(made, 0, np.zeros(1, np.int64), data=states.data_path(0))
    states.load(chain)
    before = (folder / "kept" / "chain-0-1.npz").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    chain.advance()
    monkeypatch.setattr(np, "savez", full)
    states.save(chain)
    assert "No space left" in states.failure
    assert [path.name for path in (folder / "kept").iterdir()] == ["chain-0-1.npz"]
    assert (folder / "kept" / "chain-0-1.npz").read_bytes() == before
    with pytest.raises(ProblemError, match="No space left"):
        Checkpoint(folder / "new", made).load(chain)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.tuples(st.integers(), st.text()), inner)
    ),
    max_leaves=20,
)


@given(plain)
def test_plain_data_come_back_as_they_were(value):
    arrays: list[np.ndarray] = [np.zeros(1)]
    form = flatten({"value": value, "array": np.arange(3.0)}, arrays)
    found = unflatten(form, {f"a{k}": array for k, array in enumerate(arrays)})
    assert found["value"] == value and type(found["value"]) is type(value)
    np.testing.assert_array_equal(found["array"], np.arange(3.0))
