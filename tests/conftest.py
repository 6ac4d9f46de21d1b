"""Options of the test run."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite expected texts")


@pytest.fixture
def golden(request):
    """Compare a text with a file of expected text, or rewrite the file with `--update-golden`."""

    def compare(path, text):
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path.name} is missing; make it with --update-golden"
        assert text == path.read_text(encoding="utf-8")

    return compare
