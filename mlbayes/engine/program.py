"""The interpreter of vector programs, fills, cross products and quadratic forms (tables of `mlbayes.plan.plan`)."""

import math

from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.engine.random import normal_cdf
from mlbayes.engine.transformations import inverse_yeo_johnson, yeo_johnson
from mlbayes.engine.vectors import add_product, add_scaled, clear, copy, dot, total
from mlbayes.plan.plan import (
    FILL_A,
    FILL_ADD,
    FILL_B,
    FILL_FACTOR,
    FILL_PRODUCT,
    FILL_TARGET,
    FILL_UNITS,
    OP_ADD,
    OP_ADD_PRODUCT,
    OP_ADD_SCALAR,
    OP_ADD_SCALED,
    OP_ADD_SCALED_PRODUCT,
    OP_CHOICE,
    OP_COPY,
    OP_DIVIDE,
    OP_EXP,
    OP_FILL,
    OP_GATHER,
    OP_INVERSE_YEO_JOHNSON,
    OP_LOG,
    OP_MAXIMUM,
    OP_MINIMUM,
    OP_MULTIPLY,
    OP_NORMAL_CDF,
    OP_POWER,
    OP_RECIPROCAL,
    OP_SCALE,
    OP_SCATTER,
    OP_SQUARE_ROOT,
    OP_SUBTRACT,
    OP_SUM,
    OP_YEO_JOHNSON,
    PRODUCT_A,
    PRODUCT_B,
    PRODUCT_BASE,
    PRODUCT_SET,
    PRODUCT_TARGET,
    QUADRATIC_A,
    QUADRATIC_B,
    QUADRATIC_PRECISION,
    QUADRATIC_UNITS,
    SET_PARENT,
    SET_STARTS,
    SET_UNITS,
    Plan,
)


@kernel
def log_choice(store: NDArray, place: int, logits: int, stride: int, categories: int) -> float:
    """Log probability of a category of a multinomial logit; 0 for a negative place, which does not count.

    `logits`: offset of the first logit of the unit, the others `stride` apart; that of the reference is 0.
    """
    if place < 0:
        return 0.0
    top = 0.0
    for k in range(categories - 1):
        top = max(top, store[logits + k * stride])
    total_odds = math.exp(-top)
    for k in range(categories - 1):
        total_odds += math.exp(store[logits + k * stride] - top)
    own = store[logits + (place - 1) * stride] if place > 0 else 0.0
    return own - top - math.log(total_odds)


@kernel
def run_program(plan: Plan, store: NDArray, first: int, last: int) -> None:
    """Run the instructions first..last-1."""
    for k in range(first, last):
        code, target, n, a, b, c = plan.program[k]
        t = store[target : target + n]
        if code == OP_COPY:
            copy(t, store[a : a + n], n)
        elif code == OP_FILL:
            value = store[a]
            for i in range(n):
                t[i] = value
        elif code == OP_MULTIPLY:
            x = store[a : a + n]
            y = store[b : b + n]
            for i in range(n):
                t[i] = x[i] * y[i]
        elif code == OP_ADD:
            add_scaled(t, store[a : a + n], 1.0, n)
        elif code == OP_SUBTRACT:
            add_scaled(t, store[a : a + n], -1.0, n)
        elif code == OP_ADD_SCALED:
            add_scaled(t, store[a : a + n], store[b], n)
        elif code == OP_ADD_PRODUCT:
            add_product(t, store[a : a + n], store[b : b + n], n)
        elif code == OP_ADD_SCALED_PRODUCT:
            s = store[c]
            x = store[a : a + n]
            y = store[b : b + n]
            for i in range(n):
                t[i] += s * x[i] * y[i]
        elif code == OP_SCALE:
            s = store[b]
            x = store[a : a + n]
            for i in range(n):
                t[i] = s * x[i]
        elif code == OP_GATHER:
            x = store[a:]
            for i in range(n):
                t[i] = x[plan.index[b + i]]
        elif code == OP_SCATTER:
            x = store[a:]
            for i in range(n):
                x[plan.index[b + i]] = t[i]
        elif code == OP_ADD_SCALAR:
            s = store[a]
            for i in range(n):
                t[i] += s
        elif code == OP_SUM:
            store[target] = total(store[a : a + n], 0, n)
        elif code == OP_RECIPROCAL:
            x = store[a : a + n]
            for i in range(n):
                t[i] = 1.0 / x[i]
        elif code == OP_SQUARE_ROOT:
            x = store[a : a + n]
            for i in range(n):
                t[i] = math.sqrt(x[i])
        elif code == OP_DIVIDE:
            x = store[a : a + n]
            for i in range(n):
                t[i] /= x[i]
        elif code == OP_EXP:
            x = store[a : a + n]
            for i in range(n):
                t[i] = math.exp(x[i])
        elif code == OP_LOG:
            x = store[a : a + n]
            for i in range(n):
                t[i] = math.log(x[i])
        elif code == OP_NORMAL_CDF:
            x = store[a : a + n]
            for i in range(n):
                t[i] = normal_cdf(x[i])
        elif code == OP_POWER:
            x = store[a : a + n]
            for i in range(n):
                t[i] = t[i] ** x[i]
        elif code == OP_MINIMUM:
            x = store[a : a + n]
            for i in range(n):
                t[i] = min(t[i], x[i])
        elif code == OP_MAXIMUM:
            x = store[a : a + n]
            for i in range(n):
                t[i] = max(t[i], x[i])
        elif code == OP_CHOICE:
            for i in range(n):
                t[i] = log_choice(store, int(store[a + i]), b + i, n, c)
        elif code == OP_YEO_JOHNSON:
            x = store[a : a + n]
            for i in range(n):
                t[i] = yeo_johnson(t[i], x[i])
        elif code == OP_INVERSE_YEO_JOHNSON:
            x = store[a : a + n]
            for i in range(n):
                t[i] = inverse_yeo_johnson(t[i], x[i])


@kernel
def run_fills(plan: Plan, store: NDArray, first: int, last: int) -> None:
    """Run the fills first..last-1: cross products of derived columns from those of raw ones."""
    for k in range(first, last):
        fill = plan.fills[k]
        n = fill[FILL_UNITS]
        t = store[fill[FILL_TARGET] : fill[FILL_TARGET] + n]
        s = store[fill[FILL_FACTOR]]
        if fill[FILL_ADD] == 0:
            clear(t, n)
        a = fill[FILL_A]
        b = fill[FILL_B]
        p = fill[FILL_PRODUCT]
        if a < 0 and b >= 0:
            a, b = b, a
        if p < 0 and a >= 0:
            p, a, b = a, b, -1
        if p < 0:
            for i in range(n):
                t[i] += s
        elif a < 0:
            add_scaled(t, store[p : p + n], s, n)
        elif b < 0:
            x = store[p : p + n]
            y = store[a : a + n]
            for i in range(n):
                t[i] += s * x[i] * y[i]
        else:
            x = store[p : p + n]
            y = store[a : a + n]
            z = store[b : b + n]
            for i in range(n):
                t[i] += s * x[i] * y[i] * z[i]


@kernel
def run_products(plan: Plan, store: NDArray, first: int, last: int) -> None:
    """Cross products of rows within their parents, added to what never changes."""
    for k in range(first, last):
        product = plan.products[k]
        rows = plan.sets[product[PRODUCT_SET]]
        n = rows[SET_UNITS]
        parents = plan.sets[rows[SET_PARENT], SET_UNITS]
        a = store[product[PRODUCT_A] : product[PRODUCT_A] + n]
        b = store[product[PRODUCT_B] : product[PRODUCT_B] + n]
        t = store[product[PRODUCT_TARGET] : product[PRODUCT_TARGET] + parents]
        base = product[PRODUCT_BASE]
        starts = rows[SET_STARTS]
        for u in range(parents):
            s = dot(a, b, plan.index[starts + u], plan.index[starts + u + 1])
            if base >= 0:
                s += store[base + u]
            t[u] = s


@kernel
def log_quadratics(plan: Plan, store: NDArray, first: int, last: int) -> float:
    """Log density of the residuals in the quadratic forms first..last-1 as they are, up to a constant."""
    s = 0.0
    for k in range(first, last):
        form = plan.quadratics[k]
        n = form[QUADRATIC_UNITS]
        a = store[form[QUADRATIC_A] : form[QUADRATIC_A] + n]
        b = store[form[QUADRATIC_B] : form[QUADRATIC_B] + n]
        weight = 0.5 if form[QUADRATIC_A] == form[QUADRATIC_B] else 1.0
        s -= weight * store[form[QUADRATIC_PRECISION]] * dot(a, b, 0, n)
    return s
