"""Results are whole or not there."""

import os
import stat

import pytest

from mlbayes.files import target_problems, write_text
from mlbayes.problems import ProblemError, ProblemKind


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text("old")
    write_text(path, "new\n")
    assert path.read_bytes() == b"new\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.txt"]


def test_a_result_has_the_rights_of_any_new_file(tmp_path):
    mask = os.umask(0o027)
    try:
        write_text(tmp_path / "report.txt", "")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "report.txt").stat().st_mode) == 0o640


def test_nothing_is_left_of_a_failed_write(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.txt"]


def test_a_missing_folder_is_a_file_problem(tmp_path):
    with pytest.raises(ProblemError) as caught:
        write_text(tmp_path / "absent" / "report.txt", "")
    assert caught.value.problems[0].kind is ProblemKind.FILE


def test_targets(tmp_path):
    script = tmp_path / "model.inp"
    script.write_text("")
    (tmp_path / "link.inp").symlink_to(script)
    assert target_problems(tmp_path / "report.txt", [script]) == []
    for target in (tmp_path, tmp_path / "absent" / "report.txt", script, tmp_path / "link.inp"):
        assert len(target_problems(target, [script])) == 1
