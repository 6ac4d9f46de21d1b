"""Stan through PyStan: the models of run_nutpie.py, one program in the folder `stan` for each, with the same starts.

PyStan keeps compiled programs between runs, and also draws by data and seed; these are thrown away before each run.
"""

import shutil
from pathlib import Path

from results import SLOPES, Run, firsts

run = Run()
import httpstan.cache  # noqa: E402
import numpy as np  # noqa: E402
import stan  # noqa: E402

FOLDER = Path(__file__).parent / "stan"
SLOPE_NAMES = [f"b_{name}" for name in SLOPES]
INTERCEPT_SLOPE = ["var_u0", "cov_u01", "var_u1"]
TWO_LEVEL = ["b0", *SLOPE_NAMES, *INTERCEPT_SLOPE, "var_e"]

c = run.columns
y, id = c["y"], c["id"].astype(int)
first, scale, centre = firsts(id), float(np.nanstd(c["y"])), float(np.nanmean(c["y"]))
J = first.size
given = {"N": id.size, "J": J, "id": id, "y": y, "scale": scale, "centre": centre}


def places(condition):
    return np.flatnonzero(condition) + 1


def rows(*values, count=J):
    return np.tile(np.array(values, float), (count, 1))


def two_level():
    data = given | {"x1": c["x1"], "x2": c["x2"], "x3": c["x3"][first], "d": c["d"][first]}
    starts = {"b0": centre, **dict.fromkeys(SLOPE_NAMES, 0.0), "u": rows(centre, 0.0)}
    return data, starts | {"sd": [0.5 * scale, 0.2 * scale], "sd_e": scale}, TWO_LEVEL


def three_level():
    id3 = c["id3"].astype(int)
    top = firsts(id3)
    data = given | {"K": top.size, "above": id3[first], "time": c["time"], "d": c["d"][top]}
    coefficients = ["b0", "b_time", "b_d", "b_td"]
    starts = dict.fromkeys(coefficients, 0.0) | {"b0": centre, "w": rows(centre, 0.0, count=top.size)}
    starts |= dict.fromkeys(("sd2", "sd3"), [0.5 * scale, 0.1 * scale]) | {
        "sd_e": scale,
        "z": np.zeros((2, J)),
    }
    spreads = [f"v{level}_{part}" for level in (2, 3) for part in ("0", "01", "1")]
    return data, starts, [*coefficients, *spreads, "var_e"]


def incomplete():
    data, starts, wanted = two_level()
    means = [float(np.nanmean(v)) for v in (c["x1"], c["x2"], c["x3"][first])]
    data["seen"] = places(~np.isnan(y))
    data |= {"O": data["seen"].size, "y": y[~np.isnan(y)], "centres": means}
    for k, name in enumerate(("x1", "x2", "x3")):
        gaps = places(np.isnan(data[name]))
        data |= {f"G{k + 1}": gaps.size, f"gaps{k + 1}": gaps, name: np.nan_to_num(data[name])}
        starts[f"{name}_gaps"] = np.full(gaps.size, means[k])
    starts |= {"mu": means, "slopes": np.zeros(3), "means": rows(*means[:2])}
    starts |= {"sd_w": [1.0, 2.0], "sd_b": [1.0, 1.0, 1.0]}
    return data, starts, [*wanted, "mu_x1", "mu_x2", "mu_x3"]


def logit():
    data = given | {"y": y.astype(int), "x": c["x"], "w": c["w"][first]}
    starts = {"b0": 0.0, "b_x": 0.0, "b_w": 0.0, "sd": [0.8, 0.5], "u": rows(0.0, 0.0)}
    return data, starts, ["b0", "b_x", "b_w", *INTERCEPT_SLOPE]


def location_scale():
    data, starts, wanted = two_level()
    variance = ["s0", "s_x1", "s_d"]
    starts |= dict.fromkeys(variance, 0.0) | {"sd": [0.5, 0.2, 0.5], "u": rows(centre, 0.0, 0.0)}
    return data, starts, [*wanted[:5], *variance, *INTERCEPT_SLOPE, "cov_u0s", "cov_u1s", "var_s"]


def diary():
    seen = ~np.isnan(c["ylag"])
    data = given | {
        "x": c["x"],
        "O": int(seen.sum()),
        "seen": places(seen),
        "y": y[seen],
        "before": c["ylag"][seen],
    }
    scales = {"x": 0.1, "y": 0.8, "phi": 0.15, "beta": 0.9}
    starts = {f"sd_{name}": value for name, value in scales.items()} | {"sd_ex": 1.0, "sd_ey": 1.0}
    starts |= {f"m_{name}": 0.0 for name in scales} | {"x_z": np.zeros(J)}
    starts |= {f"r_{name}": np.zeros(J) for name in ("y", "phi", "beta")}
    return data, starts, [*(f"{part}_{name}" for name in scales for part in ("m", "v")), "ve_x", "ve_y"]


MODELS = {"P2": three_level, "P3": incomplete, "P4": logit, "P5": location_scale, "P6": diary}
model = MODELS.get(run.model, two_level)
data, starts, wanted = model()
program = (FOLDER / "common.stan").read_text() + (FOLDER / f"{model.__name__}.stan").read_text()
run.lap("import")
posterior = stan.build(program, data=data, random_seed=1)
run.lap("compile")
shutil.rmtree(httpstan.cache.model_directory(posterior.model_name) / "fits", ignore_errors=True)
fit = posterior.sample(num_chains=4, num_samples=run.draws, num_warmup=run.warmup, init=[starts] * 4)
run.lap("sampling")
run.save({name: fit[name].reshape(-1, 4).T for name in wanted})
