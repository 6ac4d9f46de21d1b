"""PyMC models sampled by nutpie.  Densities are flat on (co)variances, as those of mlbayes are.

Random coefficients are centred at their regression on the clusters' predictors, which is the better parametrisation in
all models but P2, where those of level 2 are standardised.
"""

import warnings

from results import SLOPES, Run, firsts, triangle

run = Run()
warnings.filterwarnings("ignore")
import numpy as np  # noqa: E402
import nutpie  # noqa: E402
import pymc as pm  # noqa: E402
import pytensor.tensor as pt  # noqa: E402

c = run.columns
wanted: list[str] = []


def keep(name, value):
    wanted.append(name)
    return pm.Deterministic(name, value)


def flat(name, start=0.0, sd=1000.0):
    wanted.append(name)
    return pm.Normal(name, start, sd)


def deviation(name, scale, result):
    sd = pm.HalfNormal(f"sd_{name}", 10 * scale, initval=scale)
    pm.Potential(f"flat_{name}", pt.log(sd))  # flat on the variance
    keep(result, sd**2)
    return sd


def factor(name, scales, starts, names):
    size = len(scales)
    law = pm.HalfNormal.dist(10 * np.array(scales), shape=size)
    start = np.diag(starts)[np.tril_indices(size)]
    chol, _, sd = pm.LKJCholeskyCov(name, n=size, eta=1.0, sd_dist=law, compute_corr=True, initval=start)
    pm.Potential(f"flat_{name}", size * pt.log(sd).sum())  # flat on the matrix
    matrix = chol @ chol.T
    places = [(i, j) for i in range(size) for j in range(i + 1)]
    for title, (row, column) in zip(names, places, strict=True):
        keep(title, matrix[row, column])
    return chol


def around(name, means, chol, clusters, standardised=False):
    centre = pt.stack([m + pt.zeros(clusters) for m in means], 1)
    if standardised:
        return centre + pm.Normal(f"{name}_z", shape=(clusters, len(means))) @ chol.T
    return pm.MvNormal(name, mu=centre, chol=chol, shape=(clusters, len(means)))


def filled(name, values):
    """A column with its gaps as unknowns without a prior of their own."""
    gaps = np.flatnonzero(np.isnan(values))
    unknown = pm.Flat(f"{name}_gaps", shape=gaps.size, initval=np.full(gaps.size, np.nanmean(values)))
    return pt.set_subtensor(pt.as_tensor(np.nan_to_num(values))[gaps], unknown)


INTERCEPT_SLOPE = ["var_u0", "cov_u01", "var_u1"]
run.lap("import")
y = c["y"]
g = run.codes("id")
first, clusters, s = firsts(g), int(g.max()) + 1, np.nanstd(y)
with pm.Model() as model:
    if run.model[0] == "N" or run.model in ("P1", "P7"):
        b0, (b1, b2, b3, b4) = flat("b0", y.mean()), [flat(f"b_{n}") for n in SLOPES]
        chol = factor("S", [s, s], [0.5 * s, 0.2 * s], INTERCEPT_SLOPE)
        e = deviation("e", s, "var_e")
        u = around("u", [b0 + b3 * c["x3"][first] + b4 * c["d"][first], b1], chol, clusters)
        pm.Normal("y", b2 * c["x2"] + u[g, 0] + u[g, 1] * c["x1"], e, observed=y)
    elif run.model == "P2":
        h = run.codes("id3")
        top = firsts(h)
        b0, bt, bd, btd = flat("b0", y.mean()), flat("b_time"), flat("b_d"), flat("b_td")
        chol2 = factor("S2", [s, s], [0.5 * s, 0.1 * s], ["v2_0", "v2_01", "v2_1"])
        chol3 = factor("S3", [s, s], [0.5 * s, 0.1 * s], ["v3_0", "v3_01", "v3_1"])
        e = deviation("e", s, "var_e")
        d = c["d"][top]
        w = around("w", [b0 + bd * d, bt + btd * d], chol3, h.max() + 1)
        u = around("u", [w[h[first], 0], w[h[first], 1]], chol2, clusters, standardised=True)
        pm.Normal("y", u[g, 0] + u[g, 1] * c["time"], e, observed=y)
    elif run.model == "P3":
        names = ("x1", "x2", "x3")
        start = [np.nanmean(c[n]) for n in names]
        mu = [flat(f"mu_{n}", m) for n, m in zip(names, start, strict=True)]
        slopes = [pm.Normal(f"g_{n}", 0.0, 1000.0) for n in names]
        within = factor("W", [1.5, 2.2], [1.0, 2.0], triangle("w", 2))
        between = factor("B", [1.5, 2.2, 1.0], [1.0, 1.0, 1.0], triangle("b", 3))
        x3 = filled("x3", c["x3"][first])
        means = pm.Flat("means", shape=(clusters, 2), initval=np.tile(start[:2], (clusters, 1)))
        d = c["d"][first]
        centre = pt.stack([mu[k] + slopes[k] * d for k in range(3)], 1)
        upper = pt.stack([means[:, 0], means[:, 1], x3], 1)
        pm.Potential("between", pm.logp(pm.MvNormal.dist(mu=centre, chol=between), upper).sum())
        x1, x2 = filled("x1", c["x1"]), filled("x2", c["x2"])
        lower = pt.stack([x1 - means[g, 0], x2 - means[g, 1]], 1)
        pm.Potential("within", pm.logp(pm.MvNormal.dist(mu=np.zeros(2), chol=within), lower).sum())
        b0, (b1, b2, b3, b4) = flat("b0", np.nanmean(y)), [flat(f"b_{n}") for n in SLOPES]
        chol = factor("S", [s, s], [0.5 * s, 0.2 * s], INTERCEPT_SLOPE)
        e = deviation("e", s, "var_e")
        u = around("u", [b0 + b3 * (x3 - mu[2]) + b4 * d, b1], chol, clusters)
        seen = np.flatnonzero(~np.isnan(y))
        mean = b2 * (x2 - mu[1]) + u[g, 0] + u[g, 1] * lower[:, 0]
        pm.Normal("y", mean[seen], e, observed=y[seen])
    elif run.model == "P4":
        b0, bx, bw = (flat(n, sd=5.0**0.5) for n in ("b0", "b_x", "b_w"))
        chol = factor("S", [1.0, 1.0], [0.8, 0.5], INTERCEPT_SLOPE)
        u = around("u", [b0 + bw * c["w"][first], bx], chol, clusters)
        pm.Bernoulli("y", logit_p=u[g, 0] + u[g, 1] * c["x"], observed=y)
    elif run.model == "P5":
        b0, (b1, b2, b3, b4) = flat("b0", y.mean()), [flat(f"b_{n}") for n in SLOPES]
        s0, sx, sd = flat("s0", sd=5.0**0.5), flat("s_x1", sd=5.0**0.5), flat("s_d", sd=5.0**0.5)
        chol = factor("S", [s, s, s], [0.5, 0.2, 0.5], [*INTERCEPT_SLOPE, "cov_u0s", "cov_u1s", "var_s"])
        d = c["d"][first]
        u = around("u", [b0 + b3 * c["x3"][first] + b4 * d, b1, s0 + sd * d], chol, clusters)
        spread = pt.exp(0.5 * (sx * c["x1"] + u[g, 2]))
        pm.Normal("y", b2 * c["x2"] + u[g, 0] + u[g, 1] * c["x1"], spread, observed=y)
    elif run.model == "P6":
        r = {}
        for name, scale in (("x", 0.1), ("y", 0.8), ("phi", 0.15), ("beta", 0.9)):
            mean = flat(f"m_{name}")
            sd = deviation(name, scale, f"v_{name}")
            if name == "x":  # hardly varies between persons
                r[name] = mean + sd * pm.Normal(f"{name}_z", shape=clusters)
            else:
                r[name] = pm.Normal(f"r_{name}", mean, sd, shape=clusters)
        ex, ey = deviation("ex", 1.0, "ve_x"), deviation("ey", 1.0, "ve_y")
        pm.Normal("x_seen", r["x"][g], ex, observed=c["x"])
        seen = np.flatnonzero(~np.isnan(c["ylag"]))
        k = g[seen]
        mean = r["y"][k] + r["phi"][k] * (c["ylag"][seen] - r["y"][k])
        mean += r["beta"][k] * (c["x"][seen] - r["x"][k])
        pm.Normal("y_seen", mean, ey, observed=y[seen])
compiled = nutpie.compile_pymc_model(model, var_names=wanted)
run.lap("compile")
trace = nutpie.sample(
    compiled, draws=run.draws, tune=run.warmup, chains=4, cores=2, seed=1, progress_bar=False
)
run.lap("sampling")
run.save({name: trace.posterior[name].values for name in wanted})
