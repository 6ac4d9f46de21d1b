"""A small made-up two-level model and draws for it, without sampling: for tests of results and reports."""

from pathlib import Path

import numpy as np

from mlbayes.model.expressions import Centring, Constant, Form, Operation, ParameterReference, Reference
from mlbayes.model.model import (
    At,
    ConditionalEffect,
    CovarianceBlock,
    Distribution,
    Equation,
    EquationTerm,
    Generated,
    Kind,
    Model,
    ModeratorSpec,
    Parameter,
    PredictorModel,
    PredictorPart,
    Prior,
    RandomEffects,
    Role,
    Settings,
    Variable,
    WaldTest,
)
from mlbayes.model.units import Hierarchy
from mlbayes.results.document import Block, DataInformation, MissingRow, ModelInformation
from mlbayes.results.draws import (
    AcceptanceDraws,
    Draws,
    EquationDraws,
    ModeratorDraws,
    Monitors,
    PartDraws,
    PredictorDraws,
    RandomDraws,
    UnitLikelihood,
)
from mlbayes.source import Source

BURN, KEPT, CHAINS = 200, 250, 4
SHAPE = (CHAINS, BURN + KEPT)


def variable(name, role, level=1, kind=Kind.CONTINUOUS, centring=Centring.NONE, incomplete=False):
    values = np.arange([40, 8][level - 1], dtype=float)
    if incomplete:
        values[3] = np.nan
    codes = (0, 1) if kind is Kind.ORDINAL else ()
    return Variable(name, kind, level, role, values, codes=codes, centring=centring)


def make_model(options=frozenset()):
    """y ~ x@b1 m@b2 x*m | x; f1 ~ 1, f2 ~ 1, f1 ~~ f2 in a block; d a binary predictor."""
    x = Reference("x", 1, centring=Centring.GROUP)
    m = Reference("m", 2, centring=Centring.GRAND)
    terms = (
        EquationTerm(Constant(1.0), "Intercept", "y.b0"),
        EquationTerm(x, "x", "b1"),
        EquationTerm(m, "m", "b2"),
        EquationTerm(Reference("x", 2, Form.MEAN, centring=Centring.GRAND), "x.mean[school]", "b3"),
        EquationTerm(Operation("*", (x, m)), "x*m", "y.b4"),
    )
    outcome = Equation(
        "y",
        Reference("y", 1),
        "y",
        1,
        Distribution.NORMAL,
        terms,
        random=(RandomEffects(2, (0, 1), ("Intercept", "x"), Prior()),),
        residual="y.variance",
        block="focal.model",
    )
    latents = tuple(
        Equation(
            name,
            Reference(name, 2),
            name,
            2,
            Distribution.NORMAL,
            (EquationTerm(Constant(1.0), "Intercept", f"{name}.b0"),),
            residual=f"{name}.variance",
            block="latent.model",
        )
        for name in ("f1", "f2")
    )
    binary = Equation(
        "d2",
        Reference("d2", 1),
        "d2",
        1,
        Distribution.PROBIT,
        (
            EquationTerm(Reference("f1", 2), "f1", "loading"),
            EquationTerm(Reference("y", 1), "y", "d2.b1"),
        ),
        block="focal.model",
    )
    names = ("y.b0", "b1", "b2", "b3", "y.b4", "y.variance", "f1.b0", "f2.b0", "f1.variance", "f2.variance")
    parameters = {name: Parameter(name) for name in (*names, "d2.b1", "rho")}
    parameters["loading"] = Parameter("loading", fixed=1.0)
    variables = [
        variable("y", Role.OUTCOME, incomplete=True),
        variable("d2", Role.OUTCOME, kind=Kind.ORDINAL),
        variable("x", Role.PREDICTOR, centring=Centring.GROUP, incomplete=True),
        variable("d", Role.PREDICTOR, kind=Kind.ORDINAL, incomplete=True),
        variable("m", Role.PREDICTOR, level=2, centring=Centring.GRAND),
        variable("f1", Role.LATENT, level=2),
        variable("f2", Role.LATENT, level=2),
    ]
    return Model(
        source=Source(Path("model.inp"), ""),
        hierarchy=Hierarchy(("school",), (40, 8), np.arange(40), (np.repeat(np.arange(8), 5),)),
        variables={one.name: one for one in variables},
        equations=(*latents, outcome, binary),
        parameters=parameters,
        predictor_models=(
            PredictorModel(
                "x",
                (
                    PredictorPart(1, (Reference("d", 1),), ("d",)),
                    PredictorPart(2, (Reference("d", 2, Form.MEAN), Reference("m", 2)), ("d", "m")),
                ),
            ),
            PredictorModel("d", (PredictorPart(1, (Reference("x", 1),), ("x",)), PredictorPart(2, (), ()))),
            PredictorModel("m", (PredictorPart(2, (), ()),), means_only=True),
        ),
        covariances=(CovarianceBlock(("f1", "f2"), 2, Prior(), {(0, 1): "rho"}, block="latent.model"),),
        generated=(
            Generated(
                "contextual",
                Operation("-", (ParameterReference("b3"), ParameterReference("b1"))),
                "contextual = b3-b1",
            ),
            Generated("share", ParameterReference("y.coefvar"), "share = y.coefvar"),
        ),
        wald_tests=(WaldTest((({"b1": 1.0}, 0.0), ({"b2": 1.0, "b3": -1.0}, 0.0)), ("b1 = 0", "b2 = b3")),),
        conditional_effects=(
            ConditionalEffect(
                2,
                x,
                "x",
                (ModeratorSpec(m, At.SD, "m"),),
                ((1, ()), (4, (0,))),
                ((0, ()), (2, (0,))),
            ),
        ),
        settings=Settings(1, BURN, KEPT * CHAINS, CHAINS, options=options),
        warnings=("The slope variance of x is small.",),
    )


def make_draws(seed=1, complete=True):
    """Independent draws around round numbers."""
    rng = np.random.default_rng(seed)

    def normal(mean, sd, *more):
        return mean + sd * rng.standard_normal((*SHAPE, *more))

    def positive(scale):
        return scale * np.exp(0.1 * rng.standard_normal(SHAPE))

    intercept, slope = positive(0.6), positive(0.02)
    covariance = np.empty((*SHAPE, 2, 2))
    covariance[..., 0, 0], covariance[..., 1, 1] = intercept, slope
    covariance[..., 0, 1] = covariance[..., 1, 0] = 0.2 * np.sqrt(intercept * slope)
    coefficients = normal([4.2, -0.1, 0.09, 0.3, 0.04], [0.07, 0.02, 0.008, 0.05, 0.02], 5)
    none = np.zeros(SHAPE)
    f1, f2, rho = positive(1.3), positive(123456.0), normal(0.3, 0.1)
    equations = (
        EquationDraws(normal(1.0, 0.1, 1), f1, np.zeros((1, 1, 1)), none),
        EquationDraws(normal(-2.0, 0.1, 1), f2, np.zeros((1, 1, 1)), none),
        EquationDraws(
            coefficients,
            positive(0.36),
            np.array([[[0.0, 1.1, 2.0, 0.9, 2.2]]]),
            positive(0.06),
            (RandomDraws(covariance, intercept, 1.2 * slope),),
        ),
        EquationDraws(
            np.stack((np.ones(SHAPE), normal(0.5, 0.1)), axis=-1),
            np.ones(SHAPE),
            np.array([[[1.0, 0.8]]]),
            positive(0.2),
        ),
    )
    predictors = (
        PredictorDraws(
            normal(4.0, 0.1),
            (
                PartDraws(normal(-0.06, 0.01, 1), positive(1.07)),
                PartDraws(normal(0.1, 0.2, 2), positive(1.15)),
            ),
        ),
        PredictorDraws(
            normal(0.2, 0.1),
            (
                PartDraws(normal(0.1, 0.1, 1), np.ones(SHAPE)),
                PartDraws(normal(0.0, 1.0, 0), positive(0.3)),
            ),
        ),
        PredictorDraws(normal(20.0, 0.4), (PartDraws(normal(0.0, 1.0, 0), positive(16.0)),)),
    )
    units = UnitLikelihood(rng.normal(-150.0, 5.0, 8), rng.normal(-152.0, 5.0, 8), rng.uniform(1.0, 2.0, 8))
    monitors = Monitors(
        500,
        units,
        units,
        {
            "y": np.array([4.2, 1.1, 3.4, 4.2, 5.0, 0.5, 8.0]),
            "x": np.array([0, 1.0, -0.7, 0, 0.7, -3.0, 3.0]),
        },
        {
            (1, "y", "d2"): 0.1 * rng.standard_normal((CHAINS, 125)),
            (2, "f1", "y"): 0.1 * rng.standard_normal((CHAINS, 125)),
        },
    )
    return Draws(
        burn=BURN,
        kept=KEPT,
        chains=CHAINS,
        equations=equations,
        predictors=predictors,
        parameters={
            "b1": coefficients[..., 1],
            "b2": coefficients[..., 2],
            "b3": coefficients[..., 3],
            "rho": rho,
        },
        monitors=monitors,
        moderators=((ModeratorDraws(np.array([[[4.0, 0.0, -4.0]]])),),),
        acceptance=(AcceptanceDraws("d", "imputation", 0.5, (0.51, 0.49, 0.5, 0.52)),),
        complete=complete,
    )


def make_information():
    """What `describe` might say of the model."""
    model = ModelInformation(
        parameters={"Outcome Models": 14, "Generated Parameters": 2, "Predictor Models": 9},
        predictors={
            "Incomplete continuous": ["x"],
            "Complete continuous": ["m"],
            "Incomplete ordinal": ["d"],
        },
        factors={"2": ["f1", "f2"]},
        centered={"Grand Mean Centered": ["m"], "Group Mean Centered": ["x"]},
        cluster_means={"Grand Mean Centered": ["x"]},
        models=[
            Block("latent.model", ["f1 ~ Intercept", "f2 ~ Intercept", "f1 <-> f2@rho"]),
            Block(
                "focal.model",
                ["y ~ Intercept x@b1 m@b2 x.mean[school]@b3 x*m | Intercept x", "d2 ~ f1@1 y"],
            ),
        ],
        generated=["contextual = b3-b1", "share = y.coefvar"],
        priors=["b1 ~ normal(0.0, 1.0) " + "and a long text that has to be wrapped " * 3],
    )
    data = DataInformation(
        40,
        {"2": "school"},
        {"2": 8},
        {"n": ["n.2", "n.3"]},
        [MissingRow("y", 2.5, "-M-"), MissingRow("x", 2.5, "--M"), MissingRow("d", 2.5, "--M")],
        [95.0, 2.5, 2.5],
        3,
    )
    return model, data
