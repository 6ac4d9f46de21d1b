"""Conditional effects: at codes of a centred moderator as without centring; of latent variables as by hand."""

import threading

import numpy as np

from mlbayes import pipeline
from mlbayes.console import SilentProgress
from mlbayes.source import Source

SCRIPT = """
DATA: data.csv;
ORDINAL: d;
FIXED: d x;
{centre}
MODEL: y ~ x d x*d;
SIMPLE: x | d;
SEED: 12;
BURN: 200;
ITER: 4000;
"""


def conditional_rows(folder, centre: str) -> dict[str, float]:
    path = folder / "model.inp"
    path.write_text(SCRIPT.format(centre=centre))
    model, _ = pipeline.understand(Source(path, path.read_text()))
    draws = pipeline.sample(pipeline.plan(model), 2, SilentProgress(), threading.Event())
    document = pipeline.summarise(model, draws)
    tables = [table for table in document.outcome_tables if table.kind == "conditional-effects"]
    return {f"{row.section} {row.label}".strip(): row.mean for table in tables for row in table.rows}


def test_codes_of_a_centred_moderator(tmp_path):
    rng = np.random.default_rng(4)
    n = 400
    x, d = rng.normal(3, 1, n), rng.integers(0, 2, n)
    y = 1 + 0.5 * x + 2 * d + 0.8 * x * d + rng.normal(size=n)
    rows = "\n".join(f"{a:.5f},{b:.5f},{c}" for a, b, c in zip(y, x, d, strict=True))
    (tmp_path / "data.csv").write_text("y,x,d\n" + rows + "\n")
    plain = conditional_rows(tmp_path, "")
    centred = conditional_rows(tmp_path, "CENTER: d;")
    slopes = [key for key in plain if "Slope" in key]
    assert len(plain) == 4 and len(slopes) == 2
    for key, value in plain.items():
        # posterior SDs are below 0.4, effective sizes about 4,000: differences beyond 0.06 are five errors and more
        assert abs(centred[key] - value) < 0.06, key


# ------------------------------------------------------------------ latent variables
LATENT = """
DATA: data.csv;
CLUSTERID: g;
LATENT: f; g = h;
CENTER: grandmean = x z.mean; groupmean = z;
MODEL:
  f1 ~ f@1 | 1@0; { f2 f3 } ~ f | 1@0;
  h -> h1 h2 h3;
  y ~ x f h z.mean@bz x*f x*h f*h x*z.mean@bxz z.mean*h z@bw;
SIMPLE:
  x | f; x | f @ quantile; f | x @ quartile;
  x | h; x | h @ quartile; f | h @ quantile;
  x | z.mean; x | z.mean @ quantile; z.mean | h; z.mean | x @ third;
  x | f @ -0.5 and h @ quartile;
  (bw - bz) | z.mean; (bz + bxz*x)^2 | x @ quartile;
PARAMETERS: third = bz/3;
SEED: 12;
BURN: 100;
ITER: 200;
CHAINS: 2;
NIMPS: 200;
OPTIONS: savelatent;
SAVE: stacked = imputed.csv;
"""
SHARES = {"Q84": 0.84, "Q50": 0.5, "Q16": 0.16, "Q75": 0.75, "Q25": 0.25}


def latent_data(folder) -> None:
    """60 clusters of 5 rows with a factor at each level; a tenth of z is missing."""
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(60), 5)
    n = g.size
    f, h, zm = rng.normal(size=n), rng.normal(size=60)[g], rng.normal(size=60)[g]
    x, z = rng.normal(2, 1, n), zm + rng.normal(size=n)
    y = 1 + x * (0.5 + 0.4 * f - 0.3 * h) + 0.6 * f + 0.2 * zm + rng.normal(size=n)
    columns = {"g": g, "x": x, "z": z, "y": y}
    for k in (1, 2, 3):
        columns[f"f{k}"] = f + 0.6 * rng.normal(size=n)
        columns[f"h{k}"] = h + 0.6 * rng.normal(size=60)[g]
    table = np.column_stack(list(columns.values()))
    table[rng.random(n) < 0.1, 2] = np.nan
    text = "\n".join(",".join("NA" if np.isnan(v) else f"{v:.6f}" for v in row) for row in table)
    (folder / "data.csv").write_text(",".join(columns) + "\n" + text + "\n")


def test_points_of_latent_moderators_are_those_of_the_drawn_scores(tmp_path):
    """Each saved data set is one draw: standard deviations, quantiles, intercepts and slopes come out of it."""
    latent_data(tmp_path)
    path = tmp_path / "model.inp"
    path.write_text(LATENT.replace("DATA: data.csv;", "DATA: data.csv; MISSING: NA;"))
    model, _ = pipeline.understand(Source(path, path.read_text()))
    draws = pipeline.sample(pipeline.plan(model), 2, SilentProgress(), threading.Event())
    document = pipeline.summarise(model, draws)
    number = next(k for k, e in enumerate(model.equations) if e.title == "y")
    terms = [term.label for term in model.equations[number].terms]
    first = np.unique(model.hierarchy.parents[0], return_index=True)[1]
    drawn = draws.equations[number].coefficients
    found: dict[str, list[float]] = {}
    for chain in range(2):
        for k in range(100):
            # chains deliver data sets in turn, and 100 of each chain are every draw after burn-in
            snapshot = draws.snapshots[2 * k + chain]
            b = dict(zip(terms, drawn[chain, 100 + k], strict=True))
            for key, value in by_hand(snapshot, model, draws, (chain, 100 + k), first, b).items():
                found.setdefault(key, []).append(value)
    (table,) = (t for t in document.outcome_tables if t.kind == "conditional-effects")
    rows = {f"{row.section}: {row.label}": row for row in table.rows}
    (generated,) = document.generated_tables
    rows |= {f"{row.section}: {row.label}": row for row in generated.rows if row.section is not None}
    assert found.keys() == rows.keys()
    for key, values in found.items():
        assert np.isclose(np.median(values), rows[key].estimate, rtol=1e-6, atol=1e-6), key
        assert np.isclose(np.mean(values), rows[key].mean, rtol=1e-6, atol=1e-6), key


def by_hand(snapshot, model, draws, place, first, b) -> dict[str, float]:
    """All rows of one draw, from a data set of it and the coefficients of the equation."""
    grand = [draws.predictors[k].grand_mean[place] for k in range(len(model.predictor_models))]
    grand = dict(zip((m.variable for m in model.predictor_models), grand, strict=True))
    values = {
        "f": snapshot.added["f.latent"],
        "h": snapshot.added["h.latent"][first],
        "x": model.variables["x"].values - grand["x"],
        "z.mean[g]": snapshot.added["z.mean[g]"][first] - grand["z"],
    }
    third = b["z.mean[g]"] / 3

    def points(name, at):
        v = values[name]
        if at == "SD":
            mean, sd = v.mean(), v.std(ddof=1)
            if name in ("f", "h"):
                return {"Mean + 1 SD": mean + sd, "Mean": mean, "Mean - 1 SD": mean - sd}
            return {"+1 SD": sd, "0": 0.0, "-1 SD": -sd}
        return {q: np.quantile(v, SHARES[q], method="hazen") for q in at.split()}

    def product(one, other):
        return b[f"{one}*{other}"] if f"{one}*{other}" in b else b.get(f"{other}*{one}", 0.0)

    rows = {}
    quantile, quartile = "Q84 Q50 Q16", "Q75 Q50 Q25"
    asked = [
        ("x", "f", "SD"),
        ("x", "f", quantile),
        ("f", "x", quartile),
        ("x", "h", "SD"),
        ("x", "h", quartile),
    ]
    asked += [
        ("f", "h", quantile),
        ("x", "z.mean[g]", "SD"),
        ("x", "z.mean[g]", quantile),
        ("z.mean[g]", "h", "SD"),
    ]
    for focal, moderator, at in asked:
        for word, m in points(moderator, at).items():
            section = f"{focal} | {moderator} @ {word}"
            rows[f"{section}: Intercept"] = b["Intercept"] + b[moderator] * m
            rows[f"{section}: Slope"] = b[focal] + product(focal, moderator) * m
    section = "z.mean[g] | x @ third"
    rows[f"{section}: Intercept"] = b["Intercept"] + b["x"] * third
    rows[f"{section}: Slope"] = b["z.mean[g]"] + product("x", "z.mean[g]") * third
    for word, m in points("h", quartile).items():
        section = f"x | f @ -0.5, h @ {word}"
        rows[f"{section}: Intercept"] = b["Intercept"] - 0.5 * b["f"] + (b["h"] - 0.5 * b["f*h"]) * m
        rows[f"{section}: Slope"] = b["x"] - 0.5 * b["x*f"] + b["x*h"] * m
    for word in points("z.mean[g]", "SD"):
        rows[f"bw-bz: z.mean[g] @ {word}"] = b["z"] - b["z.mean[g]"]
    for word, m in points("x", quartile).items():
        rows[f"(bz+bxz*x)^2: x @ {word}"] = (b["z.mean[g]"] + b["x*z.mean[g]"] * m) ** 2
    return rows
