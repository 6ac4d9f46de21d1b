"""Latent responses of binary variables (probit), and the missing categories themselves."""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.engine.random import normal_cdf, positive_normal
from mlbayes.plan.plan import (
    RESPONSE_CELL_COUNT,
    RESPONSE_CELLS,
    RESPONSE_CODE,
    RESPONSE_EVIDENCE,
    RESPONSE_LABELS,
    RESPONSE_MEAN,
    RESPONSE_NUMBER,
    RESPONSE_UNITS,
    RESPONSE_VALUE,
    Plan,
)


@kernel
def draw_responses(plan: Plan, store: NDArray, r: int, rng: Generator) -> None:
    """Draw missing categories with the latent response integrated out, then every latent response.

    P(category 1) is proportional to Phi(mean) times the likelihood of the equations that the category
    enters (as a log ratio in the evidence vector); a response is N(mean, 1) on its category's side of 0.
    """
    row = plan.responses[r]
    for k in range(row[RESPONSE_CELL_COUNT]):
        unit = plan.index[row[RESPONSE_CELLS] + k]
        mean = store[row[RESPONSE_MEAN] + unit]
        evidence = store[row[RESPONSE_EVIDENCE] + k] if row[RESPONSE_EVIDENCE] >= 0 else 0.0
        upper = normal_cdf(mean)
        lower = normal_cdf(-mean)
        if evidence > 0.0:
            share = upper / (upper + lower * math.exp(-evidence))
        else:
            weight = upper * math.exp(evidence)
            share = weight / (weight + lower)
        code = 1 if rng.random() < share else 0
        store[row[RESPONSE_CODE] + unit] = code
        store[row[RESPONSE_NUMBER] + unit] = store[row[RESPONSE_LABELS] + code]
    for unit in range(row[RESPONSE_UNITS]):
        mean = store[row[RESPONSE_MEAN] + unit]
        if store[row[RESPONSE_CODE] + unit] > 0.5:
            store[row[RESPONSE_VALUE] + unit] = positive_normal(rng, mean)
        else:
            store[row[RESPONSE_VALUE] + unit] = -positive_normal(rng, -mean)
