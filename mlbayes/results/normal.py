"""The normal quantile function as a kernel (scipy's cannot be called from cached code)."""

from __future__ import annotations

import math

from mlbayes.engine.jit import kernel


@kernel
def normal_quantile(p: float) -> float:
    """Quantile of the standard normal distribution, relative error about 1e-16 (Wichura 1988, AS 241).

    Outside of (0, 1) the result is infinite or nan.
    """
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * _central(r)
    r = p if q < 0.0 else 1.0 - p
    if r <= 0.0:
        if r < 0.0:
            return math.nan
        return -math.inf if q < 0.0 else math.inf
    r = math.sqrt(-math.log(r))
    value = _intermediate(r - 1.6) if r <= 5.0 else _extreme(r - 5.0)
    return -value if q < 0.0 else value


@kernel
def _central(r: float) -> float:
    """Rational function for |p - 1/2| <= 0.425."""
    above = 2509.0809287301226727 * r + 33430.575583588128105
    above = (above * r + 67265.770927008700853) * r + 45921.953931549871457
    above = (above * r + 13731.693765509461125) * r + 1971.5909503065514427
    above = (above * r + 133.14166789178437745) * r + 3.387132872796366608
    below = 5226.495278852545925 * r + 28729.085735721942674
    below = (below * r + 39307.89580009271061) * r + 21213.794301586595867
    below = (below * r + 5394.1960214247511077) * r + 687.1870074920579083
    below = (below * r + 42.313330701600911252) * r + 1.0
    return above / below


@kernel
def _intermediate(r: float) -> float:
    """Rational function for tail areas down to exp(-25)."""
    above = 7.7454501427834140764e-4 * r + 0.0227238449892691845833
    above = (above * r + 0.24178072517745061177) * r + 1.27045825245236838258
    above = (above * r + 3.64784832476320460504) * r + 5.7694972214606914055
    above = (above * r + 4.6303378461565452959) * r + 1.42343711074968357734
    below = 1.05075007164441684324e-9 * r + 5.475938084995344946e-4
    below = (below * r + 0.0151986665636164571966) * r + 0.14810397642748007459
    below = (below * r + 0.68976733498510000455) * r + 1.6763848301838038494
    below = (below * r + 2.05319162663775882187) * r + 1.0
    return above / below


@kernel
def _extreme(r: float) -> float:
    """Rational function for still smaller tail areas."""
    above = 2.01033439929228813265e-7 * r + 2.71155556874348757815e-5
    above = (above * r + 0.0012426609473880784386) * r + 0.026532189526576123093
    above = (above * r + 0.29656057182850489123) * r + 1.7848265399172913358
    above = (above * r + 5.4637849111641143699) * r + 6.6579046435011037772
    below = 2.04426310338993978564e-15 * r + 1.4215117583164458887e-7
    below = (below * r + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4
    below = (below * r + 0.0148753612908506148525) * r + 0.13692988092273580531
    below = (below * r + 0.59983220655588793769) * r + 1.0
    return above / below
