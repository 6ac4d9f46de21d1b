"""Scale mixtures of normals for logit and negative binomial models, and the special functions they need.

Given omega ~ PG(b, eta), the likelihood exp(a eta) / (1 + exp(eta))^b is that of a normal observation (a - b/2) / omega
with mean eta and precision omega.  Given lambda of `logistic_scale`, a logistic latent response is normal with
variance lambda.
"""

import math

import numpy as np
from numpy.random import Generator

from mlbayes.engine.jit import kernel
from mlbayes.engine.random import inverse_gaussian, positive_normal

# Polya-Gamma -------------------------------------------------------------------------------------------

# Where the two series of Devroye's density meet, on the scale of J*(1, z/2) = 4 PG(1, z).
SPLIT = 0.64
# Integral of the lower piece, sqrt(2 / (pi x^3)) exp(-1 / (2 x)), without a tilt.
UNTILTED = 2.0 * math.erfc(1.0 / math.sqrt(2.0 * SPLIT))
# Below the series in either piece, which is least, 0.9942, at SPLIT.
ALWAYS = 0.994
# Beyond this tilt of J* the piece above SPLIT has a probability below exp(-500).
LARGEST_TILT = 40.0
# Largest whole b for which PG(b, z) is summed up from draws of PG(1, z); for more of them the series is faster.
LARGEST_SUM = 2.0


@kernel
def polya_gamma_one(rng: Generator, z: float) -> float:
    """A draw from the Polya-Gamma distribution PG(1, z), exact for every finite z; nan if z is not finite.

    Devroye's alternating series: Polson, Scott & Windle 2013, JASA 108, 1339-1349, section 4.  The proposal is
    inverse Gaussian below SPLIT and exponential above.  While the tilt is small the lower piece is proposed without
    it, so that its mass is a constant, and the tilt is left to the rejection.
    """
    if not math.isfinite(z):
        return math.nan
    tilt = 0.5 * abs(z)
    rate = 0.125 * math.pi**2 + 0.5 * tilt * tilt
    steep = tilt * SPLIT > 1.0
    upper = 0.0
    if tilt < LARGEST_TILT:
        lower = UNTILTED
        if steep:
            near = math.erfc((1.0 - SPLIT * tilt) / math.sqrt(2.0 * SPLIT))
            far = math.erfc((1.0 + SPLIT * tilt) / math.sqrt(2.0 * SPLIT))
            lower = math.exp(-tilt) * near + math.exp(tilt) * far
        upper = 1.0 / (1.0 + 2.0 / math.pi * rate * math.exp(SPLIT * rate) * lower)
    while True:
        u = rng.random()
        if rng.random() < upper:
            x = SPLIT + rng.standard_exponential() / rate
            step = 0.5 * math.pi**2 * x
        else:
            if steep:
                x = _small_inverse_gaussian(rng, tilt)
            else:
                root = 1.0 / math.sqrt(SPLIT)
                root += positive_normal(rng, -root)
                x = 1.0 / (root * root)
                u *= math.exp(0.5 * tilt * tilt * x)  # above 1, and so refused, as often as the tilt wants it
            step = 2.0 / x
        # The density over that of the proposal is 1 - 3 exp(-2 step) + 5 exp(-6 step) - ...
        if u <= ALWAYS:
            return 0.25 * x
        total = 1.0
        n = 1
        while True:
            total -= (2 * n + 1) * math.exp(-n * (n + 1) * step)
            if u <= total:
                return 0.25 * x
            n += 1
            total += (2 * n + 1) * math.exp(-n * (n + 1) * step)
            if u > total:
                break
            n += 1


@kernel
def _small_inverse_gaussian(rng: Generator, drift: float) -> float:
    """A draw from the inverse Gaussian distribution with mean 1 / drift < SPLIT and shape 1 that is at most SPLIT."""
    while True:
        x = inverse_gaussian(rng, drift, 1.0)
        if x <= SPLIT:
            return x


@kernel
def polya_gamma_moments(z: float) -> tuple[float, float]:
    """Mean and variance of PG(1, z); those of PG(b, z) are b times as large.

    The mean is tanh(z/2) / (2z), the variance (2 tanh(z/2) - z / cosh(z/2)^2) / (4 z^3), or its series in z^2
    where this form loses digits: relative error below 1e-12.
    """
    z = abs(z)
    if z < 1e-150:
        return 0.25, 1.0 / 24.0
    tanh = math.tanh(0.5 * z)
    if z < 0.1:
        w = z * z
        series = 1.0 / 120.0 - w * (17.0 / 13440.0 - w * (31.0 / 181440.0 - w * 691.0 / 31933440.0))
        return 0.5 * tanh / z, 1.0 / 24.0 - w * series
    return 0.5 * tanh / z, (2.0 * tanh / z - (1.0 - tanh) * (1.0 + tanh)) / (4.0 * z * z)


@kernel
def gamma_terms(z: float) -> int:
    """How many terms of the series of gamma variables keep within the bound of `polya_gamma`.

    None from |z| = 20 on, where PG(b, z) is inverse Gaussian but for terms in exp(-|z|).
    """
    return 4 + int(1.3 * abs(z)) if abs(z) < 20.0 else 0


@kernel
def polya_gamma(rng: Generator, b: float, z: float) -> float:
    """A draw from the Polya-Gamma distribution PG(b, z) for real b > 0; nan if b <= 0 or either is not finite.

    Exact where `_polya_gamma_tilted` accepts half of its proposals or more, which includes all b <= 1, and for whole b
    up to LARGEST_SUM.

    Otherwise a sum of gamma variables (Polson, Scott & Windle 2013, section 2.2),

        X = sum_k d_k g_k,   g_k ~ Gamma(b, 1),   1 / d_k = 2 pi^2 ((k - 1/2)^2 + c^2),   c = z / (2 pi),

    cut after K = `gamma_terms(z)` of them.  The remainder is drawn as an inverse Gaussian variable with its exact mean
    and variance, b s_1 and b s_2 where s_n = sum of d_k^n over k > K, so mean and variance of X are exact.  In the
    third cumulant 3 b s_2^2 / s_1 stands for 2 b s_3, an error of

        |2 s_3 - 3 s_2^2 / s_1| / (2 S_3) < 1e-6

    of that of X, S_3 being the sum over all k.  The bound does not depend on b; for K much larger than c the error is
    near (1/30) K^-5 / sum_k ((k - 1/2)^2 + c^2)^-3, that is 5e-4 K^-5 at z = 0.  (A gamma remainder, with 2 b s_2^2 /
    s_1, is off by 8/3 of that, and the more the larger z is.)  The
    distribution function is off by less than 1e-5 for b > 1, and 2e-7 from b = 3 on (by inverted transforms); for small
    b, where nearly all of the mass is far below the mean, it would not do.  The cost does not depend on b.
    """
    z = abs(z)
    if not (b > 0.0 and math.isfinite(b) and math.isfinite(z)):
        return math.nan
    if b * math.log1p(math.exp(-z)) <= math.log(2.0):
        return _polya_gamma_tilted(rng, b, z)
    if b <= LARGEST_SUM and b == math.floor(b):
        total = 0.0
        for _ in range(int(b)):
            total += polya_gamma_one(rng, z)
        return total
    mean, variance = polya_gamma_moments(z)
    square = 0.25 * (z / math.pi) ** 2
    total = 0.0
    for k in range(gamma_terms(z)):
        d = 0.5 / math.pi**2 / ((k + 0.5) * (k + 0.5) + square)
        total += d * rng.standard_gamma(b)
        mean -= d
        variance -= d * d
    return total + inverse_gaussian(rng, 1.0 / (b * mean), (b * mean) ** 2 * mean / variance)


@kernel
def _polya_gamma_tilted(rng: Generator, b: float, z: float) -> float:
    """An exact draw from PG(b, z), z >= 0, by rejection from an inverse Gaussian with mean b / (2z) and shape b^2 / 4.

    That distribution is the one of a PG(b, z) variable plus an independent compound Poisson variable, which is 0 with
    probability (1 + exp(-z))^-b: the Laplace transforms exp(-b s) and cosh(s)^-b have Levy densities of which the
    first is nowhere smaller.  So it covers the density of PG(b, z), and this is the share that is accepted.  The
    ratio of the densities is 1 - a_1 + a_2 - ... with

        a_n = Gamma(n + b) / (Gamma(b) n!) (2n + b) / b exp(-n (n + b) / (2x))

    (Polson, Scott & Windle 2013, section 2.3), whose partial sums are bounds as soon as the terms decrease.  For large
    x it falls like x^(b + 1/2) exp(-pi^2 x / 2), and is below 2^-53, the grain of a uniform draw, from b + 10 on.
    """
    while True:
        x = inverse_gaussian(rng, 2.0 * z / b, 0.25 * b * b)
        if x > b + 10.0:
            continue
        u = rng.random()
        decay = math.exp(-0.5 * (b + 1.0) / x)
        decay_of_decay = math.exp(-1.0 / x)
        term = 1.0
        total = 1.0
        n = 0
        while True:
            ratio = (n + b) * (2 * n + 2 + b) / ((n + 1) * (2 * n + b)) * decay
            term *= ratio
            decay *= decay_of_decay
            n += 1
            if n % 2 == 1:
                total -= term
                if ratio < 1.0 and u <= total:
                    return x
            else:
                total += term
                if ratio < 1.0 and u > total:
                    break


# Logistic distribution ---------------------------------------------------------------------------------


@kernel
def logistic_scale(rng: Generator, r: float) -> float:
    """A draw of the variance lambda of a standard logistic variable r as a normal one, given r; nan if r is not finite.

    r | lambda ~ N(0, lambda), sqrt(lambda) / 2 having Kolmogorov's distribution.  Holmes & Held 2006, Bayesian
    Analysis 1, 145-168, appendix A4: exact rejection from a generalised inverse Gaussian, whose reciprocal is
    inverse Gaussian; a share (1 + exp(-|r|))^-2 is accepted.
    """
    if not math.isfinite(r):
        return math.nan
    r = abs(r)
    while True:
        scale = 1.0 / inverse_gaussian(rng, r, 1.0)
        u = rng.random()
        if scale > 4.0 / 3.0:
            # 1 - 4 x^3 + 9 x^8 - ... with x = exp(-lambda / 2)
            total = 1.0
            n = 2
            while True:
                total -= n * n * math.exp(-0.5 * (n * n - 1) * scale)
                if u <= total:
                    return scale
                n += 1
                total += n * n * math.exp(-0.5 * (n * n - 1) * scale)
                if u > total:
                    break
                n += 1
        elif scale > 0.1:  # below, less than 1 in 2^53 is accepted, the grain of u
            # The same by Jacobi's identity: sum over odd n of (n^2 - w) x^(n^2), x = exp(-pi^2 / (2 lambda)),
            # each bracket being positive.
            w = scale / math.pi**2
            rate = 0.5 * math.pi**2 / scale
            u *= math.exp(rate - 0.5 * scale) * math.sqrt(0.5) * (scale / math.pi) ** 2.5
            total = 1.0
            n = 1
            while True:
                total -= w * math.exp(-(n * n - 1) * rate)
                if u <= total:
                    return scale
                n += 2
                total += n * n * math.exp(-(n * n - 1) * rate)
                if u > total:
                    break


@kernel
def logistic_cdf(x: float) -> float:
    """The standard logistic distribution function 1 / (1 + exp(-x)); no overflow, full precision in the lower tail."""
    e = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


@kernel
def log1p_exp(x: float) -> float:
    """log(1 + exp(x)) without overflow; -log1p_exp(-x) is the logarithm of `logistic_cdf`."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@kernel
def log_logistic_interval(a: float, b: float) -> float:
    """log(F(b) - F(a)) for the standard logistic distribution function F; either may be infinite; -inf if a >= b.

    F(b) - F(a) = F(b) (1 - F(a)) (1 - exp(a - b)), in which nothing cancels; with an infinite end, as always where
    there are two categories, a single factor is left.
    """
    if a >= b:
        return -math.inf
    if math.isinf(a):
        return -log1p_exp(-b)
    if math.isinf(b):
        return -log1p_exp(a)
    return -log1p_exp(-b) - log1p_exp(a) + math.log(-math.expm1(a - b))


@kernel
def log_logistic_density(x: float) -> float:
    """The logarithm of the standard logistic density."""
    return -log1p_exp(x) - log1p_exp(-x)


# Gamma function ----------------------------------------------------------------------------------------

# From here on the asymptotic series of digamma and trigamma are exact to the last digits.
ASYMPTOTIC_FROM = 10.0


@kernel
def log_gamma(x: float) -> float:
    """The logarithm of the gamma function at x > 0."""
    return math.lgamma(x)


# From this size on a difference of logarithms of gamma functions loses more digits than Stirling's series.
STIRLING_FROM = 1000.0


@kernel
def log_gamma_ratio(x: float, n: float) -> float:
    """log(Gamma(x + n) / Gamma(x)) for x > 0, n >= 0, also for huge x, where both logarithms are nearly the same."""
    if x < STIRLING_FROM:
        return log_gamma(x + n) - log_gamma(x)
    corrections = (1.0 / (x + n) - 1.0 / x) / 12.0 - (1.0 / (x + n) ** 3 - 1.0 / x**3) / 360.0
    return n * math.log(x) + (x + n - 0.5) * math.log1p(n / x) - n + corrections


@kernel
def log_negative_binomial(y: float, log_odds: float, size: float) -> float:
    """Log probability of a count y >= 0: Gamma(size + y) / (Gamma(size) y!) p^y (1 - p)^size, p = F(log_odds).

    With mean mu and variance mu + mu^2 / size the log odds are log(mu / size).
    """
    value = log_gamma_ratio(size, y) - log_gamma(y + 1.0)
    return value + y * log_odds - (y + size) * log1p_exp(log_odds)


@kernel
def digamma(x: float) -> float:
    """The derivative of log Gamma at x > 0 (else nan).

    Relative error below 1e-12, but next to the root at 1.4616, where the absolute error stays below 1e-14.
    """
    if not x > 0.0:
        return math.nan
    total = 0.0
    while x < ASYMPTOTIC_FROM:
        total -= 1.0 / x
        x += 1.0
    w = 1.0 / (x * x)
    series = 1.0 / 240.0 - w * (1.0 / 132.0 - w * (691.0 / 32760.0 - w / 12.0))
    series = w * (1.0 / 12.0 - w * (1.0 / 120.0 - w * (1.0 / 252.0 - w * series)))
    return total + math.log(x) - 0.5 / x - series


@kernel
def trigamma(x: float) -> float:
    """The second derivative of log Gamma at x > 0 (else nan), relative error below 1e-12."""
    if not x > 0.0:
        return math.nan
    total = 0.0
    while x < ASYMPTOTIC_FROM:
        total += 1.0 / (x * x)
        x += 1.0
    w = 1.0 / (x * x)
    series = 1.0 / 30.0 - w * (5.0 / 66.0 - w * (691.0 / 2730.0 - w * 7.0 / 6.0))
    series = 1.0 + w * (1.0 / 6.0 - w * (1.0 / 30.0 - w * (1.0 / 42.0 - w * series)))
    return total + 0.5 * w + series / x


# Normal intervals --------------------------------------------------------------------------------------

ROOT_HALF = math.sqrt(0.5)
ROOT_TWO_PI = math.sqrt(2.0 * math.pi)
# Gauss-Legendre quadrature on (-1, 1).
NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)


@kernel
def scaled_erfc(x: float) -> float:
    """exp(x^2) erfc(x) for x >= 0, also where erfc(x) underflows; relative error below 1e-13."""
    if x < 10.0:
        return math.exp(x * x) * math.erfc(x)
    w = 0.5 / (x * x)
    total = 1.0
    for n in range(10, 0, -1):  # 1 - w + 3 w^2 - 15 w^3 + ...
        total = 1.0 - (2 * n - 1) * w * total
    return total / (x * math.sqrt(math.pi))


@kernel
def _scaled_interval(a: float, b: float) -> float:
    """The integral of exp((a^2 - x^2) / 2) over (a, b), 0 <= a < b; b may be infinite."""
    width = b - a
    if width * (1.0 + b) < 1.0:  # the difference of tails would lose digits
        total = 0.0
        for k in range(NODES.size):
            y = 0.5 * width * (1.0 + NODES[k])
            total += WEIGHTS[k] * math.exp(-y * (a + 0.5 * y))
        return 0.5 * width * total
    further = math.exp(-0.5 * width * (a + b)) * scaled_erfc(b * ROOT_HALF)
    return 0.5 * ROOT_TWO_PI * (scaled_erfc(a * ROOT_HALF) - further)


@kernel
def log_normal_interval(a: float, b: float) -> float:
    """log(Phi(b) - Phi(a)), the probability of a standard normal between a and b; either may be infinite.

    Relative error below 1e-10 in both tails, for narrow intervals, and where the probability is close to 1.
    -inf where a >= b.
    """
    if a >= b:
        return -math.inf
    if b <= 0.0:
        a, b = -b, -a
    if a >= 0.0:
        return math.log(_scaled_interval(a, b) / ROOT_TWO_PI) - 0.5 * a * a
    outside = 0.5 * (math.erfc(-a * ROOT_HALF) + math.erfc(b * ROOT_HALF))
    if outside < 0.5:
        return math.log1p(-outside)
    return math.log(0.5 * (math.erf(b * ROOT_HALF) - math.erf(a * ROOT_HALF)))


@kernel
def inverse_mills(a: float, b: float) -> float:
    """The mean of a standard normal given that it is between a and b, a < b; either may be infinite.

    (phi(a) - phi(b)) / (Phi(b) - Phi(a)); with b infinite this is the inverse of Mills' ratio at a.
    """
    if math.isinf(a) and math.isinf(b):
        return 0.0
    sign = 1.0
    if a + b < 0.0:
        a, b = -b, -a
        sign = -1.0
    fall = -math.expm1(-0.5 * (b - a) * (b + a))  # 1 - phi(b) / phi(a)
    if a >= 0.0:
        return sign * min(max(fall / _scaled_interval(a, b), a), b)
    inside = 0.5 * (math.erf(b * ROOT_HALF) - math.erf(a * ROOT_HALF))
    return sign * math.exp(-0.5 * a * a) * fall / (ROOT_TWO_PI * inside)
