"""One toy model for every kind of plan."""

from __future__ import annotations

import numpy as np
from toys import generator, holed, plan_of, three_level, two_level

from mlbayes.plan.choose import PlannedModel

HEAD = "DATA: toy.dat; MISSING: NA; "
TWO = HEAD + "CLUSTERID: g; "
THREE = HEAD + "CLUSTERID: g k; "


def holes2(*names):
    return lambda: holed(two_level, names)


def questionnaire():
    """Four correlated items with three categories, some answers missing."""
    rng = np.random.default_rng(4)
    values = rng.standard_normal((120, 1)) + rng.standard_normal((120, 4))
    items = np.digitize(values, (-1.0, 1.0)).astype(float)
    items[rng.random(items.shape) < 0.1] = np.nan
    return dict(zip(("b", "d", "o", "q"), items.T, strict=True))


def holes3(*names):
    return lambda: holed(three_level, names)


def categories2(*names):
    """Nominal n (level 1) and k (level 2), a nominal q and a count c with missing values, and holes in others."""

    def made():
        columns = holes2(*names)()
        rng = generator(12)
        whole = two_level(3)
        g = whole["g"].astype(int)
        noise = rng.gumbel(size=(2, 3, g.size))
        columns["n"] = 1.0 + np.argmax(np.outer([0.0, 1.0, -0.5], whole["x"]) + noise[0], axis=0)
        columns["q"] = 1.0 + np.argmax(np.outer([0.0, -0.5, 0.8], whole["z"]) + noise[1], axis=0)
        columns["c"] = rng.poisson(np.exp(0.4 * whole["x"])).astype(float)
        columns["k"] = (np.arange(g.max() + 1) % 3.0)[g]
        for name in ("n", "q", "c"):
            columns[name][rng.random(g.size) < 0.2] = np.nan
        columns["k"][np.isin(g, [2, 5, 9])] = np.nan
        return columns

    return made


def grades2(*names):
    """As `categories2`, with b of four categories 1 to 4."""

    def made():
        columns = categories2(*names)()
        rng = generator(13)
        g = columns["g"].astype(int)
        response = 0.6 * rng.normal(size=g.max() + 1)[g] + 0.4 * two_level(3)["x"] + rng.normal(size=g.size)
        missing = np.isnan(columns["b"])
        columns["b"] = 1.0 + np.searchsorted([-0.8, 0.0, 0.9], response)
        columns["b"][missing] = np.nan
        return columns

    return made


MODELS = {
    "single level": (HEAD + "MODEL: y ~ x z;", holes2("y", "x")),
    "single level, complete": (HEAD + "FIXED: x z; MODEL: y ~ x z;", holes2()),
    "single level, product": (HEAD + "MODEL: y ~ x z x*z;", holes2("x", "z")),
    "single level, power": (HEAD + "MODEL: y ~ x x^2 z;", holes2("x", "z")),
    "single level, centred": (HEAD + "CENTER: grandmean = x z; MODEL: y ~ x z x*z;", holes2("x", "z")),
    "single level, mediation": (HEAD + "MODEL: y ~ x m; m ~ x;", holes2("y", "x", "m")),
    "single level, binary": (HEAD + "ORDINAL: b; MODEL: y ~ x b;", holes2("x", "b")),
    "single level, labels": (HEAD + "MODEL: y ~ x@a z@a; m ~ x@a z;", holes2("x", "m")),
    "single level, fixed coefficient": (HEAD + "MODEL: y ~ 1@0 x@1 z@.5 m;", holes2("x")),
    "single level, priors": (
        HEAD + "MODEL: y ~ 1@c x@a z; PARAMETERS: a ~ normal(1, .25); c ~ normal(0, 2);",
        holes2("x"),
    ),
    "single level, constraint": (HEAD + "MODEL: y ~ x@a z@c; PARAMETERS: c = 2*a - 1;", holes2("x")),
    "constraint, product": (HEAD + "MODEL: y ~ 1@l1 x@l2 z@l3 m; PARAMETERS: l3 = l1*l2;", holes2("y", "x")),
    "constraint, power": (HEAD + "MODEL: y ~ x@l1 z@l2; m ~ x@l2 z; PARAMETERS: l2 = l1^2/2;", holes2("x", "m")),
    "constraint, function": (HEAD + "MODEL: y ~ 1@l1 x@l2; PARAMETERS: l2 = exp(l1);", holes2("y", "x")),
    "constraint, nested functions": (
        HEAD + "MODEL: y ~ 1@l1 x@l2 z@l3; PARAMETERS: l1 ~ normal(1, 1); l2 = phi(l1)/(2 + l1^2);"
        "l3 = min(abs(l1), sqrt(1 + exp(l2)), max(0.5, l1)) - ln(3);",
        holes2("x"),
    ),
    "constraint, two blocks": (
        TWO + "MODEL: y ~ x@l1 z*m@l2 w | x; PARAMETERS: l1 ~ truncate(-5, 9); l3 ~ normal(0, 1);"
        "l2 = 2^l3 - l1;",
        holes2("y", "x", "w"),
    ),
    "label in a function of rows": (
        TWO + "FIXED: z; MODEL: decay = exp(-rate*z); y ~ decay w | decay; PARAMETERS: rate ~ truncate(-1, 1);",
        holes2("y", "w"),
    ),
    "label in functions of rows and clusters": (
        TWO + "FIXED: z w; MODEL: y ~ 1@l1 (1/(4 + exp(rate*z)*l1)) (exp(-rate*w)) x | x; v ~ (exp(rate*w));"
        "PARAMETERS: rate ~ normal(0, 0.5); l1 ~ truncate(0, 9);",
        holes2("y", "x"),
    ),
    "label in a power, bounded slope": (
        TWO + "FIXED: d; MODEL: y ~ 1@l1 ((2 + d)^l3) x@l2 w | x; PARAMETERS: l2 ~ truncate(0, 3); l3 ~ normal(0, 1);",
        holes2("y", "x"),
    ),
    "Yeo-Johnson": (HEAD + "FIXED: x z; MODEL: yjt(y - 1) ~ x z;", holes2("y")),
    "Yeo-Johnson, clusters": (TWO + "OPTIONS: prior1; MODEL: yjt(y - 1) ~ x w | x;", holes2("y", "x")),
    "Yeo-Johnson, predictor": (TWO + "FIXED: x; MODEL: y ~ m x; yjt(m + 1) ~ x;", holes2("y", "m")),
    "Yeo-Johnson, level-2 predictor": (TWO + "MODEL: y ~ x v x*v | x; yjt(2 - v) ~ w;", holes2("v", "w")),
    "Yeo-Johnson, bounded slope": (
        HEAD + "FIXED: x z; MODEL: yjt(y) ~ x@l1 z; PARAMETERS: l1 ~ truncate(0, 3);",
        holes2("y"),
    ),
    "Yeo-Johnson, no free coefficients": (HEAD + "MODEL: yjt(y) ~ 1@2; z ~ y;", holes2("y")),
    "logarithm, predictor": (TWO + "MODEL: y ~ m m^2 x; ln(m + 9) ~ x;", holes2("m", "x")),
    "square root, predictor": (HEAD + "MODEL: y ~ z x; (4 - 3*sqrt(z + 9)) ~ x;", holes2("z", "x")),
    "odd power and reciprocal, predictors": (
        HEAD + "FIXED: x; MODEL: y ~ z m x; ((z/2)^3 + 1) ~ x; (1/(2*m - 30)) ~ x;",
        holes2("z", "m"),
    ),
    "random intercept": (TWO + "MODEL: y ~ x w;", holes2("y")),
    "random slope": (TWO + "MODEL: y ~ x z w | x;", holes2("y")),
    "two random slopes": (TWO + "FIXED: x z; MODEL: y ~ x z | x z;", holes2()),
    "hidden slope": (TWO + "FIXED: x z; MODEL: y ~ z w | x;", holes2()),
    "no random intercept": (TWO + "MODEL: y ~ x | 1@0 x;", holes2("x")),
    "missing predictor, random slope": (TWO + "MODEL: y ~ x z w | x;", holes2("y", "x", "z")),
    "missing level-2 predictors": (TWO + "MODEL: y ~ x w v | x;", holes2("y", "x", "w", "v")),
    "cross-level product": (TWO + "MODEL: y ~ x w x*w | x;", holes2("x", "w")),
    "group-mean centring": (
        TWO + "CENTER: groupmean = x; grandmean = z w; MODEL: y ~ x z w | x;",
        holes2("x", "z", "w"),
    ),
    "group means": (TWO + "CENTER: groupmean = x; grandmean = x.mean; MODEL: y ~ x x.mean | x;", holes2("x")),
    "group means, product": (TWO + "CENTER: groupmean = x; grandmean = w; MODEL: y ~ x w x*w | x;", holes2("x", "w")),
    "group means, level-2 outcome": (TWO + "MODEL: v ~ x.mean w; y ~ x v;", holes2("x", "v", "y")),
    "product of incomplete": (TWO + "MODEL: y ~ x z x*z | z;", holes2("x", "z")),
    "square": (TWO + "MODEL: y ~ x x^2 w;", holes2("x", "w")),
    "mediation": (TWO + "MODEL: y ~ x m | x; m ~ x | x;", holes2("y", "x", "m")),
    "level-2 mediator": (TWO + "MODEL: y ~ x v | x; v ~ w;", holes2("y", "x", "v", "w")),
    "shared label": (TWO + "MODEL: y ~ x@a z; m ~ x z@a;", holes2("y", "x")),
    "shared label, levels": (TWO + "MODEL: y ~ x w@a | x; v ~ w@a;", holes2("y", "x", "v")),
    "shared label, level-2 mediator": (TWO + "MODEL: y ~ x v w@a | x; v ~ w@a;", holes2("y", "v")),
    "binary predictors": (TWO + "ORDINAL: b d; MODEL: y ~ x b d | x;", holes2("x", "b", "d")),
    "fixed variances": (TWO + "MODEL: y ~ x | 1@.5; y ~~ y@2;", holes2("x")),
    "joint, single level": (HEAD + "OPTIONS: joint; MODEL: y ~ x z m x*z;", holes2("x", "z", "m")),
    "joint, two levels": (TWO + "OPTIONS: joint; FIXED: v; MODEL: y ~ x z w v | x;", holes2("x", "z", "w")),
    "joint, binary": (TWO + "OPTIONS: joint; ORDINAL: b; MODEL: y ~ x b w;", holes2("x", "b", "w")),
    "joint, centred outcome": (
        TWO + "OPTIONS: joint; CENTER: grandmean = m; MODEL: y ~ m x z; m ~ x;",
        holes2("x", "z", "m"),
    ),
    "joint, three levels": (THREE + "OPTIONS: joint; MODEL: y ~ x z w s | x;", holes3("x", "z", "w", "s")),
    "priors of matrices": (TWO + "FIXED: x z; OPTIONS: prior1; MODEL: y ~ x z | x;", holes2("y")),
    "prior of a variance": (TWO + "MODEL: y ~ x; y ~~ y@s; PARAMETERS: s ~ ig(3, 2);", holes2("x")),
    "imputation": (HEAD + "ORDINAL: b d; FCS: x b m d z;", holes2("x", "b", "m", "d")),
    "imputation of categories": (HEAD + "ORDINAL: b d o q; FCS: b d o q;", questionnaire),
    "imputation, two levels": (TWO + "ORDINAL: b d; FIXED: z; FCS: y x b w d z;", holes2("y", "x", "b", "w", "d")),
    "imputation of nominal variables": (TWO + "NOMINAL: n k; ORDINAL: b; FCS: x n b k;", categories2("x", "b")),
    "imputation, three levels": (THREE + "FCS: y x w s;", holes3("y", "x", "w", "s")),
    "nominal predictor": (HEAD + "NOMINAL: n; MODEL: y ~ x z n n*x;", categories2("x", "z")),
    "binary nominal predictor": (HEAD + "NOMINAL: b(1); MODEL: y ~ x b;", holes2("x", "b")),
    "nominal predictors, two levels": (
        TWO + "NOMINAL: n(2) k; ORDINAL: b; MODEL: y ~ x n k b k*x | x;",
        categories2("y", "x", "b"),
    ),
    "nominal outcome, incomplete predictors": (
        TWO + "NOMINAL: q n; ORDINAL: b; MODEL: q ~ x b n w | x;",
        categories2("x", "b", "w"),
    ),
    "nominal outcome, centring": (
        TWO + "NOMINAL: q; CENTER: groupmean = x; grandmean = z w x.mean; MODEL: q ~ x z w x.mean | x;",
        categories2("x", "z", "w"),
    ),
    "nominal outcome, grand mean in the logits": (
        HEAD + "NOMINAL: q; CENTER: grandmean = x z; MODEL: q ~ x*z;",
        categories2("x"),
    ),
    "common coefficient of logits": (TWO + "NOMINAL: q; MODEL: q ~ x@l z w | x;", categories2("x")),
    "common coefficients of logits, constrained": (
        HEAD + "NOMINAL: q; FIXED: z; MODEL: q ~ x@l z@l2 w@l3; PARAMETERS: l2 = exp(l); l3 ~ truncate(-5, 5);",
        categories2("x"),
    ),
    "common coefficient of logits and other equations": (
        TWO + "NOMINAL: q n; FIXED: x; MODEL: q ~ x@l n; n ~ z x@l; y ~ x@l z | x; PARAMETERS: l ~ normal(0.2, 2);",
        categories2("y", "z"),
    ),
    "coefficients of single logits": (
        HEAD + "NOMINAL: q; MODEL: q.2 ~ x@l z; q.3 ~ z@l2 w@l3; y ~ x@l z@l2; PARAMETERS: l3 = 2*l - 1;",
        categories2("x"),
    ),
    "function of a coefficient of a logit": (
        HEAD + "ORDINAL: b; FIXED: x z w; MODEL: logit(b) ~ x@l w; y ~ z@l2; PARAMETERS: l2 = exp(l);",
        categories2(),
    ),
    "ordinal outcome, centred predictors": (
        TWO + "ORDINAL: b d; CENTER: grandmean = x d w; MODEL: b ~ x d w x*w | x;",
        categories2("x", "b", "w", "d"),
    ),
    "probabilities of clusters": (
        TWO + "ORDINAL: b; CENTER: groupmean = b; MODEL: y ~ b x | b;",
        categories2("x", "b", "y"),
    ),
    "joint, probabilities of clusters": (
        TWO + "OPTIONS: joint; ORDINAL: b; CENTER: groupmean = b; MODEL: y ~ b b.mean x b*x;",
        categories2("x", "b"),
    ),
    "probabilities of clusters in logits": (
        TWO + "ORDINAL: b; NOMINAL: q; CENTER: groupmean = b; MODEL: q ~ b b.mean;",
        categories2("b"),
    ),
    "expected codes of clusters": (
        TWO + "ORDINAL: b; CENTER: groupmean = b; MODEL: y ~ b b.mean x b*x | b;",
        grades2("x", "b", "y"),
    ),
    "expected codes of clusters, square": (
        TWO + "ORDINAL: b; CENTER: groupmean = b; MODEL: y ~ b x b^2; m ~ b;",
        grades2("x", "b", "m"),
    ),
    "joint, expected codes of clusters": (
        TWO + "OPTIONS: joint; ORDINAL: b; CENTER: groupmean = b; MODEL: y ~ b b.mean x b*x;",
        grades2("x", "b"),
    ),
    "expected codes of clusters in logits": (
        TWO + "ORDINAL: b; NOMINAL: q; CENTER: groupmean = b; MODEL: q ~ b b.mean x;",
        grades2("b"),
    ),
    "expected codes of clusters, ordinal outcome": (
        TWO + "ORDINAL: b n; CENTER: groupmean = b; MODEL: n ~ b x | b;",
        grades2("b"),
    ),
    "centred nominal predictors": (
        TWO + "NOMINAL: n k; CENTER: grandmean = n k x; MODEL: y ~ n k x n*x | x;",
        categories2("x", "y"),
    ),
    "centred nominal predictors, random slopes": (
        TWO + "NOMINAL: n; CENTER: grandmean = n; MODEL: y ~ n x n*x | n;",
        categories2("x"),
    ),
    "centred nominal predictor of an ordinal outcome": (
        TWO + "ORDINAL: b; NOMINAL: n; CENTER: grandmean = n; MODEL: b ~ n x;",
        categories2("b"),
    ),
    "centred nominal predictors, fixed": (
        TWO + "NOMINAL: b d; FIXED: b d x; CENTER: groupmean = b; grandmean = d x; MODEL: y ~ b d x b*x | b;",
        holes2("y"),
    ),
    "square of a group-mean centred predictor": (
        TWO + "CENTER: groupmean = x; MODEL: y ~ x x^2 w;",
        categories2("x", "w"),
    ),
    "selection": (
        TWO + "FIXED: x; MODEL: y ~ x z | x; y.missing ~ y w z.missing;",
        holes2("y", "z"),
    ),
    "nominal outcome as a predictor": (
        TWO + "NOMINAL: q; MODEL: q ~ x w; y ~ x q*x q | x;",
        categories2("x", "y", "w"),
    ),
    "nominal outcome of clusters": (TWO + "NOMINAL: k; MODEL: k ~ w; y ~ x k;", categories2("x", "w")),
    "two nominal outcomes": (HEAD + "NOMINAL: q n; MODEL: n ~ z; q ~ n z;", categories2("z")),
    "binary nominal outcome as a predictor": (HEAD + "NOMINAL: b; MODEL: b ~ x; y ~ b x;", holes2("x", "b")),
    "latent variable in logits": (HEAD + "NOMINAL: q; LATENT: f; MODEL: f -> y z m; q ~ f w;", categories2("w")),
    "count outcome as a predictor": (TWO + "COUNT: c; MODEL: c ~ x; y ~ c x c*x;", categories2("x", "y")),
    "three levels": (THREE + "FIXED: x z w s; MODEL: y ~ x z w s | x;", holes3("y")),
    "three levels, missing": (THREE + "MODEL: y ~ x z w s | x;", holes3("y", "x", "z", "w", "s")),
    "three levels, levels of effects": (THREE + "MODEL: y ~ x z w | 1[g] 1[k] x[k];", holes3("y", "x")),
    "three levels, hidden slope": (THREE + "FIXED: x z; MODEL: y ~ z | 1[g] 1[k] x[g];", holes3()),
    "three levels, hidden slope above": (THREE + "FIXED: x z; MODEL: y ~ z | 1[g] 1[k] x[k];", holes3()),
    "three levels, centring": (
        THREE + "CENTER: groupmean = x; grandmean = z w s; MODEL: y ~ x z w s x*w | x;",
        holes3("x", "z", "w", "s"),
    ),
    "three levels, group means": (THREE + "MODEL: y ~ x x.mean[g] x.mean[k];", holes3("x", "y")),
    "three levels, level-2 mediator": (THREE + "MODEL: w ~ v; y ~ x w;", holes3("y", "x", "w", "v")),
    "three levels, shared label at the top": (
        THREE + "FIXED: x w r; MODEL: y ~ x w@a; s ~ r@a;",
        holes3("y", "s"),
    ),
    "log variance": (HEAD + "MODEL: y ~ x z; var(y) ~ z m;", holes2("y")),
    "log variance, missing predictors": (
        HEAD + "MODEL: y ~ x z; m ~ y z; var(y) ~ x m@l; PARAMETERS: l ~ normal(0, 2);",
        holes2("x", "z"),
    ),
    "log variance, modelled predictor": (HEAD + "FIXED: z; MODEL: x ~ z; y ~ x z; var(y) ~ x;", holes2("x", "y")),
    "log variance, missing categories": (
        TWO + "ORDINAL: b d; MODEL: y ~ x b d | x; var(y) ~ b*z d x;",
        holes2("x", "y", "b", "d"),
    ),
    "log variance, missing categories of outcomes": (
        TWO + "ORDINAL: b; FIXED: x w; MODEL: b ~ x; y ~ x; var(y) ~ b w | 1;",
        holes2("y", "b"),
    ),
    "log variances, missing nominal categories": (
        TWO + "NOMINAL: n k; FIXED: z; MODEL: y ~ n x; m ~ x k; var(y) ~ n z; var(m) ~ n k;",
        categories2("x", "y"),
    ),
    "known variances": (HEAD + "FIXED: z b; MODEL: y ~ x z; var(y) ~ 1@0 b*z@0.5 b;", holes2("x")),
    "variances known": (TWO + "FIXED: z b; MODEL: y ~ x | x; var(y) ~ 1@-0.5 (b*z)@0.5;", holes2("x")),
    "log variance, group means": (
        TWO + "CENTER: groupmean = x; grandmean = z; MODEL: y ~ x z w | x; var(y) ~ x z@0.2;",
        holes2("x", "z", "y"),
    ),
    "log variance, random effects": (TWO + "FIXED: x; MODEL: y ~ x; var(y) ~ w | 1 x;", holes2("y", "w")),
    "log variance, random intercept at two levels": (
        THREE + "FIXED: x; MODEL: y ~ x; var(y) ~ w | 1;",
        holes3("y"),
    ),
    "log variances of clusters": (TWO + "FIXED: w; MODEL: v ~ w; var(v) ~ w; y ~ v x;", holes2("v", "x")),
    "latent log variance": (
        TWO + "LATENT: g = l; MODEL: l ~ 1 w; y ~ x z | x; var(y) ~ 1@l z;",
        holes2("y", "w", "z"),
    ),
    "latent log variance as a predictor": (
        TWO + "LATENT: g = l; MODEL: l ~ 1; y ~ x; v ~ w l; var(y) ~ 1@l;",
        holes2("y", "w"),
    ),
    "latent log variance of two outcomes": (
        TWO + "LATENT: g = l; MODEL: l ~ 1; y ~ x; m ~ x; var(y) ~ 1@l; var(m) ~ l;",
        holes2("y", "m"),
    ),
    "log variance of a latent variable": (
        HEAD + "LATENT: f; FIXED: b; MODEL: f -> y z m; var(f) ~ 1@0 b@l; PARAMETERS: l ~ normal(0, 3);",
        holes2("y"),
    ),
    "log variance, correlated residuals": (
        HEAD + "MODEL: y ~ x z; m ~ z; var(y) ~ z x@l; y ~~ m; PARAMETERS: l ~ normal(0, 2);",
        holes2("y", "x"),
    ),
    "log variances of three correlated outcomes": (
        HEAD + "FIXED: w; MODEL: { y m z } ~ x; var(y) ~ w; var(z) ~ w; y m ~~ z;",
        holes2("y", "m", "z"),
    ),
    "latent log variances, correlated residuals": (
        TWO + "LATENT: g = l u; MODEL: u ~ 1; l ~ 1; u ~~ l; y ~ 1@u x; m ~ x u; var(y) ~ 1@l z; var(m) ~ u; y ~~ m;",
        holes2("y", "m", "z"),
    ),
    "latent log variance of correlated outcomes": (
        TWO + "LATENT: g = l; MODEL: l ~ 1; y ~ x; m ~ x l; var(y) ~ 1@l; var(m) ~ l | 1; y ~~ m;",
        holes2("y", "m"),
    ),
    "cluster variances": (TWO + "OPTIONS: hev; MODEL: y ~ x w | x;", holes2("x", "y")),
    "cluster variances, three levels": (THREE + "OPTIONS: hev; MODEL: y ~ x w; w ~ v;", holes3("w", "y")),
    "three levels, shared label above": (THREE + "FIXED: x v; MODEL: y ~ x s@a; w ~ v s@a;", holes3("y")),
}  # fmt: skip


FACTORS = "f -> y x; h -> z m@l; f ~~ h;"

# Residual covariance matrices and loadings, which the naive joint density (tests/naive.py) does not know.
COVARIANCE_MODELS = {
    "factors": (HEAD + f"LATENT: f h; MODEL: {FACTORS}", holes2("y", "x")),
    "factors, priors": (
        HEAD + f"LATENT: f h; OPTIONS: prior1; MODEL: {FACTORS} PARAMETERS: l ~ normal(1, .25);",
        holes2("y", "z"),
    ),
    "factors, separate priors": (
        HEAD + f"LATENT: f h; OPTIONS: use_phantom prior1; MODEL: {FACTORS} PARAMETERS: l ~ truncate(-9, 9);",
        holes2("y"),
    ),
    "three outcomes": (HEAD + "MODEL: { y m z } ~ x; y m z ~~ y m z;", holes2("y", "m", "x")),
    "two outcomes, clusters": (TWO + "MODEL: { y m } ~ x; y ~~ m;", holes2("y", "m")),
    "latent coefficients": (TWO + "LATENT: g = u s; MODEL: y ~ 1@u x@s; u ~~ s;", holes2("y")),
    "latent coefficients, separate priors": (
        TWO + "LATENT: g = u s; OPTIONS: use_phantom; MODEL: y ~ 1@u x@s; u ~~ s;",
        holes2("x"),
    ),
    "latent coefficients, fixed elements": (
        TWO + "LATENT: g = u s; MODEL: y ~ 1@u x@s; u ~~ s@.3; u@.5;",
        holes2("y"),
    ),
}  # fmt: skip


def made(name: str) -> PlannedModel:
    """The plan of a model."""
    text, columns = {**MODELS, **COVARIANCE_MODELS}[name]
    return plan_of(text, columns())
