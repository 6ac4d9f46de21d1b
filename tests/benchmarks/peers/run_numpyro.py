"""NumPyro's NUTS in double precision; the models of run_nutpie.py.  Compiling is part of what it calls warm-up."""

import numpyro
from results import SLOPES, Run, firsts, triangle

run = Run()
numpyro.set_host_device_count(4)
import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import numpyro.distributions as law  # noqa: E402
from numpyro.infer import MCMC, NUTS  # noqa: E402

c = run.columns
wanted: list[str] = []


def keep(name, value):
    if name not in wanted:
        wanted.append(name)
    return numpyro.deterministic(name, value)


def flat(name, start=0.0, sd=1000.0):
    return keep(name, start + numpyro.sample(f"{name}_raw", law.Normal(0.0, sd)))


def deviation(name, scale, result):
    sd = numpyro.sample(f"sd_{name}", law.HalfNormal(10 * scale))
    numpyro.factor(f"flat_{name}", jnp.log(sd))
    keep(result, sd**2)
    return sd


def factor(name, scales, names):
    sd = numpyro.sample(f"{name}_sd", law.HalfNormal(10 * jnp.array(scales)).to_event(1))
    numpyro.factor(f"flat_{name}", len(scales) * jnp.log(sd).sum())
    chol = sd[:, None] * numpyro.sample(f"{name}_c", law.LKJCholesky(len(scales), 1.0))
    matrix = chol @ chol.T
    places = [(i, j) for i in range(len(scales)) for j in range(i + 1)]
    for title, (row, column) in zip(names, places, strict=True):
        keep(title, matrix[row, column])
    return chol


def around(name, means, chol, clusters, standardised=False):
    centre = jnp.stack([jnp.broadcast_to(m, (clusters,)) for m in means], 1)
    if standardised:
        z = numpyro.sample(f"{name}_z", law.Normal(0.0, 1.0).expand([clusters, len(means)]).to_event(2))
        return centre + z @ chol.T
    with numpyro.plate(f"{name}_plate", clusters):
        return numpyro.sample(name, law.MultivariateNormal(centre, scale_tril=chol))


def free(name, shape, start):
    return start + numpyro.sample(name, law.ImproperUniform(law.constraints.real, (), shape))


def filled(name, values):
    gaps = np.flatnonzero(np.isnan(values))
    unknown = free(f"{name}_gaps", (gaps.size,), np.nanmean(values))
    return jnp.array(np.nan_to_num(values)).at[gaps].set(unknown)


INTERCEPT_SLOPE = ["var_u0", "cov_u01", "var_u1"]
y, g = c["y"], run.codes("id")
first, clusters, s = firsts(g), int(g.max()) + 1, float(np.nanstd(y))


def two_level():
    b0, (b1, b2, b3, b4) = flat("b0", y.mean()), [flat(f"b_{n}") for n in SLOPES]
    chol = factor("S", [s, s], INTERCEPT_SLOPE)
    e = deviation("e", s, "var_e")
    u = around("u", [b0 + b3 * c["x3"][first] + b4 * c["d"][first], b1], chol, clusters)
    numpyro.sample("y", law.Normal(b2 * c["x2"] + u[g, 0] + u[g, 1] * c["x1"], e), obs=y)


def three_level():
    h = run.codes("id3")
    d = c["d"][firsts(h)]
    b0, bt, bd, btd = flat("b0", y.mean()), flat("b_time"), flat("b_d"), flat("b_td")
    chol2 = factor("S2", [s, s], ["v2_0", "v2_01", "v2_1"])
    chol3 = factor("S3", [s, s], ["v3_0", "v3_01", "v3_1"])
    e = deviation("e", s, "var_e")
    w = around("w", [b0 + bd * d, bt + btd * d], chol3, int(h.max()) + 1)
    u = around("u", [w[h[first], 0], w[h[first], 1]], chol2, clusters, standardised=True)
    numpyro.sample("y", law.Normal(u[g, 0] + u[g, 1] * c["time"], e), obs=y)


def incomplete():
    names = ("x1", "x2", "x3")
    start = [np.nanmean(c[n]) for n in names]
    mu = [flat(f"mu_{n}", m) for n, m in zip(names, start, strict=True)]
    slopes = [numpyro.sample(f"g_{n}", law.Normal(0.0, 1000.0)) for n in names]
    within = factor("W", [1.5, 2.2], triangle("w", 2))
    between = factor("B", [1.5, 2.2, 1.0], triangle("b", 3))
    x3 = filled("x3", c["x3"][first])
    means = free("means", (clusters, 2), jnp.array(start[:2]))
    d = c["d"][first]
    centre = jnp.stack([mu[k] + slopes[k] * d for k in range(3)], 1)
    upper = jnp.stack([means[:, 0], means[:, 1], x3], 1)
    numpyro.factor("between", law.MultivariateNormal(centre, scale_tril=between).log_prob(upper).sum())
    x1, x2 = filled("x1", c["x1"]), filled("x2", c["x2"])
    lower = jnp.stack([x1 - means[g, 0], x2 - means[g, 1]], 1)
    numpyro.factor("within", law.MultivariateNormal(jnp.zeros(2), scale_tril=within).log_prob(lower).sum())
    b0, (b1, b2, b3, b4) = flat("b0", np.nanmean(y)), [flat(f"b_{n}") for n in SLOPES]
    chol = factor("S", [s, s], INTERCEPT_SLOPE)
    e = deviation("e", s, "var_e")
    u = around("u", [b0 + b3 * (x3 - mu[2]) + b4 * d, b1], chol, clusters)
    seen = np.flatnonzero(~np.isnan(y))
    mean = b2 * (x2 - mu[1]) + u[g, 0] + u[g, 1] * lower[:, 0]
    numpyro.sample("y", law.Normal(mean[seen], e), obs=y[seen])


def logit():
    b0, bx, bw = (flat(n, sd=5.0**0.5) for n in ("b0", "b_x", "b_w"))
    chol = factor("S", [1.0, 1.0], INTERCEPT_SLOPE)
    u = around("u", [b0 + bw * c["w"][first], bx], chol, clusters)
    numpyro.sample("y", law.Bernoulli(logits=u[g, 0] + u[g, 1] * c["x"]), obs=y)


def location_scale():
    b0, (b1, b2, b3, b4) = flat("b0", y.mean()), [flat(f"b_{n}") for n in SLOPES]
    s0, sx, sd = flat("s0", sd=5.0**0.5), flat("s_x1", sd=5.0**0.5), flat("s_d", sd=5.0**0.5)
    chol = factor("S", [s, s, s], [*INTERCEPT_SLOPE, "cov_u0s", "cov_u1s", "var_s"])
    d = c["d"][first]
    u = around("u", [b0 + b3 * c["x3"][first] + b4 * d, b1, s0 + sd * d], chol, clusters)
    mean = b2 * c["x2"] + u[g, 0] + u[g, 1] * c["x1"]
    numpyro.sample("y", law.Normal(mean, jnp.exp(0.5 * (sx * c["x1"] + u[g, 2]))), obs=y)


def diary():
    r = {}
    for name, scale in (("x", 0.1), ("y", 0.8), ("phi", 0.15), ("beta", 0.9)):
        mean = flat(f"m_{name}")
        sd = deviation(name, scale, f"v_{name}")
        if name == "x":
            z = numpyro.sample("x_z", law.Normal(0.0, 1.0).expand([clusters]).to_event(1))
            r[name] = mean + sd * z
        else:
            r[name] = numpyro.sample(f"r_{name}", law.Normal(mean, sd).expand([clusters]).to_event(1))
    ex, ey = deviation("ex", 1.0, "ve_x"), deviation("ey", 1.0, "ve_y")
    numpyro.sample("x_seen", law.Normal(r["x"][g], ex), obs=c["x"])
    seen = np.flatnonzero(~np.isnan(c["ylag"]))
    k = g[seen]
    mean = r["y"][k] + r["phi"][k] * (c["ylag"][seen] - r["y"][k])
    mean += r["beta"][k] * (c["x"][seen] - r["x"][k])
    numpyro.sample("y_seen", law.Normal(mean, ey), obs=y[seen])


MODELS = {"P2": three_level, "P3": incomplete, "P4": logit, "P5": location_scale, "P6": diary}
run.lap("import")
sampler = MCMC(
    NUTS(MODELS.get(run.model, two_level)),
    num_warmup=run.warmup,
    num_samples=run.draws,
    num_chains=4,
    chain_method="parallel",
    progress_bar=False,
)
sampler.run(jax.random.PRNGKey(1))
found = jax.block_until_ready(sampler.get_samples(group_by_chain=True))  # until then nothing may be done
run.lap("sampling")
run.save({name: np.asarray(found[name]) for name in wanted})
