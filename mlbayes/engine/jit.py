"""The one decorator of compiled functions, and where their machine code is kept.

numba's own cache goes stale in two ways: it does not notice a change in a function that a cached one
calls, and it does not tell apart runs with and without bounds checks.  Both are cured by a folder of
its own for each state of the sources and settings, chosen here before the first kernel is defined.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import config

F = TypeVar("F", bound=Callable[..., Any])

# Every module that holds kernels, or constants that they read (a test finds one that is missing here).
SOURCES = (
    "engine/**/*.py",
    "plan/plan.py",
    "results/diagnostics.py",
    "results/normal.py",
    "results/rhat.py",
)
SETTINGS = ("BOUNDSCHECK", "OPT", "CPU_NAME", "CPU_FEATURES")


def source_digest(package: Path) -> str:
    """Hash of all that compiled code depends on: numba, Python, settings, sources of the kernels."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
    for name in SETTINGS:
        digest.update(f"{name}={getattr(config, name, None)}\n".encode())
    paths = {path for pattern in SOURCES for path in package.glob(pattern)}
    for path in sorted(paths):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def cache_home() -> Path:
    """The user's folder for caches, by the custom of the platform."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def is_private(folder: Path) -> bool:
    """Does the folder belong to this user alone (numba's cache files are pickles)."""
    if not hasattr(os, "getuid"):
        return False
    status = folder.lstat()
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return mine and not status.st_mode & 0o077


def is_writable(folder: Path) -> bool:
    """Can files be made in the folder (asked by making one: permissions do not tell everything)."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def cache_folder(digest: str) -> Path | None:
    """A writable folder for compiled code, or None when there is no safe one."""
    try:
        folder = cache_home() / "mlbayes" / digest
        folder.mkdir(parents=True, exist_ok=True)
        if is_writable(folder):
            return folder
    except (OSError, RuntimeError):  # an unknown home folder is a RuntimeError
        pass
    if not hasattr(os, "getuid"):
        return None
    try:
        base = Path(tempfile.gettempdir()) / f"mlbayes-{os.getuid()}"
        base.mkdir(mode=0o700, exist_ok=True)
        if not is_private(base):
            return None
        folder = base / digest
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder if is_writable(folder) else None
    except OSError:
        return None


DIGEST = source_digest(Path(__file__).parent.parent)
FOLDER = cache_folder(DIGEST)
if FOLDER is not None:
    setattr(config, "CACHE_DIR", str(FOLDER))  # noqa: B010 - numba makes this attribute at run time

_OPTIONS: dict[str, Any] = {
    "cache": FOLDER is not None,
    "nogil": True,
    "fastmath": False,
    "error_model": "numpy",
}
_compile = numba.njit(**_OPTIONS)
_compile_into_caller = numba.njit(inline="always", **_OPTIONS)


def kernel(function: F) -> F:
    """Compile a function when it is first called; keep the machine code for later runs."""
    return cast(F, _compile(function))


def dispatch(function: F) -> F:
    """A kernel that is compiled into its only caller; otherwise all steps would be compiled twice."""
    return cast(F, _compile_into_caller(function))


def is_compiled(name: str) -> bool:
    """Has a kernel been compiled for this state of the sources."""
    return FOLDER is not None and any(FOLDER.rglob(f"*.{name}-*.nbi"))
