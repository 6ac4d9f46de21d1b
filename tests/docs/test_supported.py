"""What the manual says can be run is planned; what it says cannot is refused, with its place."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from modelling import built  # noqa: E402

from mlbayes.plan.choose import make_plan  # noqa: E402
from mlbayes.problems import ProblemError, ProblemKind  # noqa: E402

TWO, THREE = "CLUSTERID: pupil;", "CLUSTERID: pupil school;"
RUNS = [
    "MODEL: y ~ z x;",
    TWO + "MODEL: y ~ z x x*w | z;",
    THREE + "MODEL: y ~ z w v | z; m ~ z;",
    TWO + "MODEL: y ~ x x.mean;",
    "ORDINAL: b; MODEL: y ~ x b;",
    "ORDINAL: o; FIXED: o; MODEL: y ~ x o;",
    "NOMINAL: g; FIXED: g; MODEL: y ~ x g;",
    "NOMINAL: g; MODEL: y ~ z g;",
    "COUNT: c; FIXED: c; MODEL: y ~ x c;",
    "OPTIONS: joint; MODEL: y ~ x z;",
    "MODEL: y ~ x@l1 (x^2)@l2; PARAMETERS: d = l1 * l2; l1 ~ normal(0, 4); WALDTEST: l1 = 0;",
    "OPTIONS: savelatent saveresidual savepredicted mcse; MODEL: y ~ x; NIMPS: 2; SAVE: stacked = a.csv;",
    "LATENT: f; MODEL: f -> y z m;",
    "MODEL: y ~ z; m ~ z; y ~~ m;",
    "MODEL: y ~ z; m ~ z; y ~~ m; OPTIONS: use_phantom;",
    "MODEL: y ~ z; m ~ z; y ~~ m@0.3; OPTIONS: use_phantom;",
    "MODEL: y ~ z; m ~ z; y ~~ m; y@v1; m@v1;",
    "LATENT: f; MODEL: f -> y z m; y ~ f*x; d = x - f; w ~ d;",
    "MODEL: y ~ z@l1 x@l2; m ~ x@l3; PARAMETERS: l2 = exp(l1); l3 = sqrt(1 + l1^2) / l2;",
    TWO + "FIXED: z; MODEL: y ~ 1@l1 (exp(-rate*z))@l2 | (exp(-rate*z)); PARAMETERS: rate ~ truncate(0, 9);",
    "MODEL: y ~ z@l1; m ~ x@l2; y ~~ m; PARAMETERS: l2 = exp(l1);",
    TWO + "RANDOMEFFECT: u = y | 1 [pupil]; MODEL: y ~ z; m ~ z;",
    "ORDINAL: b; MODEL: b ~ z;",
    "ORDINAL: o; MODEL: y ~ x o; o ~ x;",
    TWO + "ORDINAL: o; MODEL: logit(o) ~ z | z;",
    TWO + "ORDINAL: o; MODEL: y ~ x o;",
    "NOMINAL: g; MODEL: g ~ z;",
    "NOMINAL: g; MODEL: g ~ z@l1;",
    "NOMINAL: g; MODEL: g ~ z@l1 x@l2; y ~ z@l1; PARAMETERS: l2 = exp(l1);",
    "NOMINAL: g; MODEL: g.2 ~ z@l1; g.3 ~ 1@0 z@l2 x; PARAMETERS: l2 = 2*l1;",
    "LATENT: f; NOMINAL: g; MODEL: f -> y z m; f -> g.2 g.3@l1;",
    "COUNT: c; MODEL: c ~ z;",
    "WEIGHT: o; MODEL: y ~ z;",
    "MODEL: y ~ z; var(y) ~ z x;",
    "MODEL: y ~ z; m ~ z; var(y) ~ z; y ~~ m;",
    TWO + "LATENT: pupil = l; MODEL: l ~ 1 w; y ~ z | z; var(y) ~ 1@l x;",
    TWO + "MODEL: y ~ z; var(y) ~ z | 1;",
    "LATENT: f; MODEL: f -> y z m; var(f) ~ 1@0 w;",
    TWO + "MODEL: y ~ z; OPTIONS: hev;",
    TWO + "TIMEID: t; MODEL: y ~ y.lag y.lag2;",
    "ORDINAL: b o; MODEL: b ~ z; o ~ z; b ~~ o;",
    "FCS: y x z;",
    "ORDINAL: b o; FCS: y x o b;",
    "NOMINAL: g; MODEL: g ~ x;",
    "NOMINAL: g; MODEL: y ~ x g; OPTIONS: savelatent;",
    TWO + "NOMINAL: g; MODEL: y ~ x g g*x | x;",
    "LATENT: f; NOMINAL: g; MODEL: f -> y z m; g ~ f;",
    "NOMINAL: g; MODEL: y ~ g x; g ~ x;",
    "COUNT: c; MODEL: y ~ c x; c ~ x;",
    "NOMINAL: g; FCS: y x g;",
    TWO + "ORDINAL: o; FIXED: z; FCS: y x o w z;",
    THREE + "FCS: y x w v;",
    "SIMULATE: n = 160; n: y = normal(z, 1); z = normal(0, 1); MODEL: y ~ z;",
    TWO + "MODEL: yjt(y) ~ z | z; ln(x + 90) ~ z; m ~ y x;",
    "WEIGHT: o; MODEL: ln(y + 90) ~ z;",
    "MODEL: y ~ x z; x.missing ~ x z;",
    "MODEL: y ~ z x.missing ismissing(x);",
    "NOMINAL: g; CENTER: grandmean = x; MODEL: g ~ x;",
    TWO + "NOMINAL: g; CENTER: groupmean = x; MODEL: g ~ x x.mean;",
    TWO + "ORDINAL: b; CENTER: groupmean = b; MODEL: y ~ b b.mean;",
    TWO + "ORDINAL: o; CENTER: groupmean = o; MODEL: y ~ o x;",
    "NOMINAL: g; FIXED: g; CENTER: grandmean = g; MODEL: y ~ g;",
    TWO + "NOMINAL: g; CENTER: grandmean = g; MODEL: y ~ g x g*x;",
    "ORDINAL: b o; CENTER: grandmean = b x; MODEL: o ~ b x;",
]
REFUSED = [
    "LATENT: f; MODEL: f -> y z m; yjt(f) ~ x;",
    "MODEL: yjt(x) ~ z; y ~ z; y ~~ x;",
    "WEIGHT: o; MODEL: yjt(y) ~ z;",
    "MODEL: (y^2) ~ z;",
    "MODEL: (y + exp(y)) ~ z;",
    "MODEL: yjt(exp(y)) ~ z;",
    "MODEL: phi(y) ~ z;",
    "MODEL: y ~ z@l1 (iphi(l1*z));",
    "MODEL: (y*0) ~ z;",
    TWO + "NOMINAL: g; CENTER: groupmean = g; MODEL: y ~ g;",
    TWO + "NOMINAL: g; MODEL: y ~ x g.mean;",
    "NOMINAL: g; OPTIONS: joint; MODEL: y ~ x g;",
    "MODEL: ln(y + 9) ~ z; var(y) ~ z;",
    TWO + "OPTIONS: hev; MODEL: y ~ z; m ~ z; y ~~ m;",
    "ORDINAL: o; MODEL: o ~ z; var(o) ~ z;",
    "MODEL: y ~ z@l; var(y) ~ z@l;",
    "MODEL: y ~ z; m ~ z; w ~ z; y ~~ m; y@v1; w@v1;",
    "MODEL: y ~ z; m ~ z; y ~~ m; y@v1; m@v2; PARAMETERS: v2 = 2 * v1;",
    "MODEL: y ~ z; m ~ z; y@v1; m@v2; PARAMETERS: v2 = 2 * v1;",
    "MODEL: y ~ z@l1; y@v1; PARAMETERS: l1 = sqrt(v1);",
    "MODEL: y ~ z@l1 (exp(l1*x));",
    "WEIGHT: o; ORDINAL: b; MODEL: b ~ z;",
]


@pytest.mark.parametrize("script", RUNS)
def test_what_can_be_run(script):
    make_plan(built(script))


@pytest.mark.parametrize("script", REFUSED)
def test_what_cannot_be_run_yet(script):
    with pytest.raises(ProblemError) as caught:
        make_plan(built(script))
    assert {problem.kind for problem in caught.value.problems} == {ProblemKind.UNSUPPORTED}
    assert all(problem.span is not None for problem in caught.value.problems)
