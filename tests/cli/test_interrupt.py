"""Ctrl-C during a run: it ends soon, and what was finished is reported as unfinished."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mlbayes as mlbayes_package

PACKAGES = Path(mlbayes_package.__file__).parents[1]
LONG = "BURN: 1;\nITER: 600000;"
READY = 4.0  # seconds of processor time after which draws are being kept


def processor_time(pid: int) -> float:
    """Seconds that a process has worked, which a busy machine does not stretch (of waiting, where unknown)."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        time.sleep(READY)
        return READY
    return sum(map(int, stat.read_text().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def environment():
    """An environment in which the engine has been compiled."""
    variables = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    subprocess.run([sys.executable, "-m", "mlbayes", "--warm-up"], env=variables, check=True, timeout=300)
    return variables


def test_a_run_is_interrupted(folder, environment):
    script = folder / "long.inp"
    script.write_text((folder / "model.inp").read_text().replace("BURN: 60;\nITER: 80;", LONG))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mlbayes",
            str(script),
            "--threads",
            "1",
            "--json",
            str(folder / "result.json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    while processor_time(process.pid) < READY:
        time.sleep(0.1)
    assert process.poll() is None, "the run ended before it could be interrupted"
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - sent < 10.0  # a second to stop, then the report of what there is
    assert "Traceback" not in err and "interrupted: the report covers what was finished" in err
    assert "OUTCOME MODEL ESTIMATES:" in out
    assert re.search(r"(?i)interrupted|unfinished|not finished", out.split("DATA INFORMATION:")[0])
    assert not json.loads((folder / "result.json").read_text())["complete"]
