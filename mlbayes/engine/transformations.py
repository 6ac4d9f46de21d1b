"""The transformation of Yeo & Johnson (2000, Biometrika 87, 954-959) and its inverse."""

import math

from mlbayes.engine.jit import kernel


@kernel
def yeo_johnson(z: float, power: float) -> float:
    """((1 + z)^power - 1) / power from 0 upwards, -((1 - z)^(2 - power) - 1) / (2 - power) below, or their limits."""
    sign = -1.0 if z < 0.0 else 1.0
    own = 2.0 - power if z < 0.0 else power
    growth = math.log1p(abs(z))
    return sign * (math.expm1(own * growth) / own if own != 0.0 else growth)


@kernel
def inverse_yeo_johnson(w: float, power: float) -> float:
    """The z whose transform is w; nan where there is none, which takes a power outside of 0 to 2."""
    sign = -1.0 if w < 0.0 else 1.0
    own = 2.0 - power if w < 0.0 else power
    return sign * math.expm1(math.log1p(own * abs(w)) / own if own != 0.0 else abs(w))
