"""mlbayes beside other programs on the same models and data, in turn on the same machine.

    python compare.py run P1:mlbayes P1:nutpie ... --data FOLDER --rounds 2     run cells in turn, add to results.json
    python compare.py run P1 P2                                                 all programs on these models
    python compare.py try P1 --data FOLDER            a few draws that are not recorded, to fill caches and see all work
    python compare.py table                                                     all figures
    python compare.py page                                                      the same into docs/benchmarks.md

Run it with the interpreter that has mlbayes and arviz-stats; `--python` is that of the peers (PyMC, nutpie, NumPyro,
PyStan).
Effective sample sizes are rank-normalised bulk ones, computed here from the draws of every program by the same
function.  Seconds are those of the whole process from start to end; `sampling` is warm-up and draws.  Memory is the sum
of the proportional set sizes of all processes.  `--cold` empties all caches of compiled code before.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from arviz_stats.base import array_stats

sys.path.insert(0, str(Path(__file__).parent))
import datasets
from programs import HERE, PROGRAMS, ROWS, SCRIPTS, TWO_LEVEL, lengths

RESULTS = HERE / "results.json"
PAGE = HERE.parents[1] / "docs" / "benchmarks.md"
WATCH = 0.3  # seconds between looks at the memory
TRIAL = (200, 200)  # draws and warm-up of `try`
MODELS = ("P1", "P2", "P3", "P4", "P5", "P6", "P7")
Record = dict[str, Any]


# ------------------------------------------------------------------ memory
def processes(root: int) -> list[int]:
    """A process and all below it."""
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        found.append(process)
        try:
            for task in Path(f"/proc/{process}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:
            pass
    return found


def memory(root: int) -> float:
    """Megabytes that a process and those below it have in memory, shared pages counted once."""
    total = 0
    for process in processes(root):
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        found = re.search(r"^Pss: +(\d+)", text, re.M)
        total += int(found[1]) if found else 0
    return total / 1024


# ------------------------------------------------------------------ one run
def run_cell(model: str, program: str, options: argparse.Namespace) -> Record:
    """Run a program on a model in a fresh folder; what was measured."""
    folder = Path(tempfile.mkdtemp(prefix=f"{model}-{program}-"))
    try:
        return measured(model, program, folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measured(model: str, program: str, folder: Path, options: argparse.Namespace) -> Record:
    draws, warmup = TRIAL if options.what == "try" else lengths(program, model)
    command = PROGRAMS[program].command(options.python)
    if program == "mlbayes":
        command += ["run", str(write_script(model, folder, options.data, draws, warmup)), "--usage"]
        command += ["--json", str(folder / "result.json"), "--output", str(folder / "report.txt")]
    else:
        command += [model, str(options.data), str(folder), str(draws), str(warmup)]
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")}
    if options.cold:
        empty = str(folder / "cache")
        environment |= {"XDG_CACHE_HOME": empty, "PYTENSOR_FLAGS": f"base_compiledir={empty}"}
        environment |= {"NUMBA_CACHE_DIR": empty}
    load = os.getloadavg()[0]
    started = time.perf_counter()
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        peak, ended = [0.0], threading.Event()

        def watch() -> None:
            while not ended.wait(WATCH):
                peak[0] = max(peak[0], memory(process.pid))
                if time.perf_counter() - started > options.most:
                    os.killpg(process.pid, 9)

        watcher = threading.Thread(target=watch)
        watcher.start()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)  # else it is thought to be running still
        wall = time.perf_counter() - started
        ended.set()
        watcher.join()
    record: Record = {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "memory": peak[0]}
    record |= {"load": [load, os.getloadavg()[0]], "draws": 4 * draws, "warmup": warmup}
    record["when"] = time.strftime("%Y-%m-%d %H:%M")
    if status:
        text = (folder / "log.txt").read_text()
        late = wall > options.most
        record["failed"] = f"not within {options.most:.0f} s" if late else " ".join(text.split()[-40:])
        return record
    names, values, phases = found_by_mlbayes(model, folder) if program == "mlbayes" else found_by_peer(folder)
    record["phases"] = phases
    return record | summary(names, values, wall, phases)


def write_script(model: str, folder: Path, data: Path, draws: int, warmup: int) -> Path:
    """The script of a model beside its data, with what decides about the length of the run."""
    name = "P1" if model in TWO_LEVEL else model
    text = (SCRIPTS / f"{name}.imp").read_text().replace(f"{name}.csv", f"{model}.csv")
    text += f"SEED: 1;\nBURN: {warmup};\nITER: {4 * draws};\nSAVE: iterations = chain*.csv;\n"
    (folder / f"{model}.csv").symlink_to(data.resolve() / f"{model}.csv")
    script = folder / f"{model}.imp"
    script.write_text(text)
    return script


def found_by_mlbayes(model: str, folder: Path) -> tuple[list[str], np.ndarray, dict[str, float]]:
    """Names and draws (chains, draws, parameters) of the parameters that all programs have, and seconds by phase."""
    document = json.loads((folder / "result.json").read_text())
    tables = [*document["outcome_tables"], *document["generated_tables"], *document["predictor_tables"]]
    numbers: dict[tuple[str, str], int] = {}
    for t in tables:
        for r in t["rows"]:
            numbers.setdefault(
                (t["name"], r["label"]), r["number"]
            )  # coefficients come before standardised ones
    chains = [np.loadtxt(folder / f"chain{k}.csv", delimiter=",", ndmin=2) for k in range(1, 5)]
    columns = [numbers[row] - 1 for row in ROWS[model].values()]
    told = re.search(r"took [\d.]+ s \(([^)]*)\)", (folder / "log.txt").read_text())
    assert told is not None
    phases = {phase: float(seconds) for phase, seconds in map(str.split, told[1].split(", "))}
    return list(ROWS[model]), np.stack(chains)[:, :, columns], phases


def found_by_peer(folder: Path) -> tuple[list[str], np.ndarray, dict[str, float]]:
    """The same of a peer; estimates of likelihood are a single draw."""
    meta = json.loads((folder / "meta.json").read_text())
    if (folder / "draws.npy").exists():
        values = np.load(folder / "draws.npy")
    elif "shape" in meta:
        values = np.fromfile(folder / "draws.bin").reshape(meta["shape"])
    else:
        values = np.array(meta["estimates"]).reshape(1, 1, -1)
    return meta["names"], values, meta["phases"]


def summary(names: list[str], values: np.ndarray, wall: float, phases: dict[str, float]) -> Record:
    """Means, standard deviations and efficiency."""
    record: Record = {"mean": dict(zip(names, values.mean(axis=(0, 1)).tolist(), strict=True))}
    if values.shape[1] == 1:
        return record
    ess = [
        float(array_stats.ess(v, chain_axis=0, draw_axis=1, method="bulk")) for v in np.moveaxis(values, 2, 0)
    ]
    rhat = [float(array_stats.rhat(v, chain_axis=0, draw_axis=1)) for v in np.moveaxis(values, 2, 0)]
    sampling = phases["sampling"]
    record["sd"] = dict(zip(names, values.std(axis=(0, 1)).tolist(), strict=True))
    record |= {"ess": dict(zip(names, ess, strict=True)), "rhat": max(rhat), "sampling": sampling}
    record |= {"min_ess": min(ess), "worst": names[int(np.argmin(ess))], "median_ess": float(np.median(ess))}
    return record | {"per_second": min(ess) / wall, "per_sampling_second": min(ess) / sampling}


# ------------------------------------------------------------------ results
def versions(interpreter: str) -> dict[str, str]:
    """Versions of everything that is compared."""
    script = "import importlib.metadata as m\n" + "\n".join(
        f"print('{p}', m.version('{p}'))" for p in ("pymc", "nutpie", "numpyro", "jax", "pystan")
    )
    peers = subprocess.run([interpreter, "-c", script], capture_output=True, text=True).stdout
    packages = 'for (p in c("rjags", "pan", "MCMCpack", "jomo", "lme4")) cat(p, as.character(packageVersion(p)), "\\n")'
    r = subprocess.run(["Rscript", "--vanilla", "-e", packages], capture_output=True, text=True).stdout
    found = dict(line.split()[:2] for line in (peers + r).splitlines() if len(line.split()) >= 2)
    own = {name: metadata.version(name) for name in ("mlbayes", "numba", "numpy")}
    return {"python": platform.python_version(), **own, **found}


def machine() -> dict[str, str]:
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    size = re.search(r"MemTotal: +(\d+)", Path("/proc/meminfo").read_text())
    return {
        "processor": model[1] if model else platform.processor(),
        "processors": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(size[1]) / 2**20:.0f} GB" if size else "",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }


def load_results() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cells": {}}


def cells_of(words: list[str]) -> list[tuple[str, str]]:
    """`P1:jags` is a cell, `P1` all cells of a model."""
    cells = []
    for word in words:
        model, _, program = word.partition(":")
        cells += [(model, p) for p in PROGRAMS if model in PROGRAMS[p].models and program in ("", p)]
    return cells


def run(options: argparse.Namespace) -> None:
    """Run all cells once, then all again; `try` records nothing."""
    cells = cells_of(options.cells)
    source = datasets.make(options.data, list(dict.fromkeys(m for m, _ in cells)), options.source)
    for _ in range(options.rounds):
        for model, program in cells:
            record = run_cell(model, program, options)
            results = load_results()
            results |= {"machine": machine(), "versions": versions(options.python), "data": source}
            key = f"{model}:{program}{':cold' if options.cold else ''}"
            results["cells"].setdefault(key, []).append(record)
            if options.what == "run":
                RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            shown = record.get("failed") or " ".join(
                f"{name} {record[name]:.1f}"
                for name in ("min_ess", "per_second", "per_sampling_second")
                if name in record
            )
            apart = distance([record], results["cells"].get(f"{model}:mlbayes", []))
            shown += f" means differ by {apart}" if apart else ""
            print(f"{key}: wall {record['wall']:.1f} cpu {record['cpu']:.1f} {shown}", flush=True)


# ------------------------------------------------------------------ tables
def order(model: str) -> tuple[str, int]:
    """P1 to P7, then sizes."""
    return ("sizes" if model[0] == "N" else "models"), int(model[1:])


def middle(records: list[Record], name: str) -> float | None:
    values = [record[name] for record in records if name in record]
    return median(values) if values else None


def shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def distance(records: list[Record], own: list[Record]) -> str:
    """The largest distance of posterior means from those of mlbayes in posterior standard deviations."""
    if not own or records[0] is own[0] or "mean" not in records[0]:
        return ""
    mean, sd = own[0]["mean"], own[0]["sd"]
    found = {n: abs(records[0]["mean"][n] - mean[n]) / sd[n] for n in mean if n in records[0]["mean"]}
    worst = max(found, key=found.__getitem__)
    return f"{found[worst]:.2f} {worst}"


HEAD = (
    "| model | program | draws | wall s | CPU s | sampling s | min ESS | median ESS | R-hat | min ESS/s, sampling"
    " | min ESS/s, total | min ESS/CPU s | MB | means differ by |"
)


def table() -> None:
    """Medians over rounds of each cell, the programs of a model below each other."""
    cells = load_results()["cells"]
    print(HEAD + "\n" + "|---" * HEAD.count(" | ") + "|---|")
    for key in sorted(cells, key=lambda key: (order(key.split(":")[0]), key)):
        model, program = key.split(":", 1)
        records = [record for record in cells[key] if "failed" not in record]
        if not records:
            print(f"| {model} | {program} | {cells[key][0]['failed']} |" + " |" * 11)
            continue
        least, cpu = middle(records, "min_ess"), middle(records, "cpu")
        figures = [middle(records, name) for name in ("wall", "cpu", "sampling", "min_ess", "median_ess")]
        rates = [middle(records, "per_sampling_second"), middle(records, "per_second")]
        rates += [least / cpu if least and cpu else None, middle(records, "memory")]
        rhat = middle(records, "rhat")
        draws = f"{records[0]['draws']:,}" if least else ""
        words = [model, program, draws, *map(shown, figures), "" if rhat is None else f"{rhat:.3f}"]
        words += [*map(shown, rates), distance(records, cells.get(f"{model}:mlbayes", []))]
        print("| " + " | ".join(words) + " |")


def ratios() -> None:
    """How many times the best other program's figure that of mlbayes is."""
    cells = load_results()["cells"]
    print("| model | min ESS/s, total | best other | times | min ESS/s, sampling | best other | times |")
    print("|---|---|---|---|---|---|---|")
    for model in sorted({key.split(":")[0] for key in cells}, key=order):
        words = [model]
        for name in ("per_second", "per_sampling_second"):
            found = {
                k.split(":")[1]: middle(v, name)
                for k, v in cells.items()
                if k.split(":")[0] == model and "cold" not in k
            }
            rates = {program: rate for program, rate in found.items() if rate}
            own = rates.pop("mlbayes", None)
            if own is None or not rates:
                words += [shown(own), "", ""]
                continue
            best = max(rates, key=rates.__getitem__)
            words += [shown(own), f"{shown(rates[best])} {best}", f"{own / rates[best]:.1f}"]
        print("| " + " | ".join(words) + " |")


def conditions() -> str:
    """The machine, its load and the versions, in a sentence."""
    results = load_results()
    records = [record for cell in results["cells"].values() for record in cell]
    loads = [value for record in records for value in record["load"]]
    m, versions = results["machine"], results["versions"]
    days = sorted({record["when"].split()[0] for record in records})
    return (
        f"{m['processor']}, {m['processors']} processors, {m['memory']}, {m['system']}; {', '.join(days)}. Load average"
        f" {min(loads):.0f} to {max(loads):.0f}, median {median(loads):.0f}. "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + "."
    )


def write_page() -> None:
    """Put conditions and tables between the marks of docs/benchmarks.md."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        print(conditions() + "\n")
        ratios()
        print()
        table()
    begin, end = "<!-- generated: begin -->", "<!-- generated: end -->"
    page = PAGE.read_text()
    before, after = page[: page.index(begin) + len(begin)], page[page.index(end) :]
    PAGE.write_text(f"{before}\n\n{text.getvalue()}\n{after}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "try", "table", "page"])
    parser.add_argument("cells", nargs="*", default=list(MODELS))
    parser.add_argument("--data", type=Path, default=Path("benchmark-data"))
    parser.add_argument("--source", type=Path, default=datasets.GUIDE)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--most", type=float, default=900.0, help="seconds after which a run is ended")
    options = parser.parse_args()
    if options.what in ("run", "try"):
        run(options)
    elif options.what == "page":
        write_page()
    else:
        ratios()
        print()
        table()


if __name__ == "__main__":
    main()
