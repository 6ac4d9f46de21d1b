import os
import stat
from pathlib import Path

import mlbayes
from mlbayes.engine import jit

PACKAGE = Path(mlbayes.__file__).parent


def test_every_module_with_kernels_counts_in_the_digest():
    counted = {path for pattern in jit.SOURCES for path in PACKAGE.glob(pattern)}
    with_kernels = {path for path in PACKAGE.rglob("*.py") if "\n@kernel" in path.read_text(encoding="utf-8")}
    assert with_kernels <= counted


def test_editing_a_kernel_changes_the_digest(tmp_path):
    (tmp_path / "engine").mkdir()
    source = tmp_path / "engine" / "linalg.py"
    source.write_text("a = 1\n")
    before = jit.source_digest(tmp_path)
    source.write_text("a = 2\n")
    assert jit.source_digest(tmp_path) != before


def test_kernels_are_kept_in_the_cache_home(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "cache_home", lambda: tmp_path)
    assert jit.cache_folder("abc") == tmp_path / "mlbayes" / "abc"


def test_without_a_home_a_private_temporary_folder_is_used(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(jit, "cache_home", lambda: blocked)
    monkeypatch.setattr(jit.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = jit.cache_folder("abc")
    assert folder is not None
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert folder.parent.stat().st_uid == os.getuid()


def test_a_folder_that_others_can_write_to_is_not_trusted(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    shared = tmp_path / f"mlbayes-{os.getuid()}"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setattr(jit, "cache_home", lambda: blocked)
    monkeypatch.setattr(jit.tempfile, "gettempdir", lambda: str(tmp_path))
    assert jit.cache_folder("abc") is None


def test_a_kernel_is_compiled_when_its_file_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "FOLDER", tmp_path)
    assert not jit.is_compiled("run_sweeps")
    (tmp_path / "sweep.run_linear_sweeps-121.py311.nbi").write_text("")
    assert not jit.is_compiled("run_sweeps")
    (tmp_path / "sweep.run_sweeps-150.py311.nbi").write_text("")
    assert jit.is_compiled("run_sweeps")
