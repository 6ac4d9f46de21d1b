"""Rank-normalised, folded, split R-hat (Vehtari, Gelman, Simpson, Carpenter & Buerkner 2021).

The burn-in table needs it for every row in twenty windows.  The draws of a row are therefore sorted once;
the ranks within a window follow by walking through that order, the ranks of the folded draws by merging
the two sides of the median, both in linear time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.results.normal import normal_quantile

Array = NDArray[np.float64]
CHECKPOINTS = 20
MINIMUM = 4  # draws per chain, as in arviz-stats


@kernel
def rank_scores(size: int) -> Array:
    """Normal scores of the ranks 1 ... size: quantiles at (rank - 3/8) / (size + 1/4), shape (size,)."""
    scores = np.empty(size)
    for i in range(size):
        scores[i] = normal_quantile((i + 0.625) / (size + 0.25))
    return scores


@kernel
def score_ratio(values: Array, segments: NDArray[np.int64], count: int, length: int, scores: Array) -> float:
    """R-hat of the normal scores of sorted `values`, shape (count * length,); ties score by their mean rank.

    `segments`, same shape: which of the `count` half chains of `length` draws each value belongs to.
    """
    size = count * length
    z = np.empty(size)
    means = np.zeros(count)
    start = 0
    while start < size:
        end = start + 1
        while end < size and values[end] == values[start]:
            end += 1
        score = scores[start]
        if end > start + 1:
            score = normal_quantile((0.5 * (start + 1 + end) - 0.375) / (size + 0.25))
        for i in range(start, end):
            z[i] = score
            means[segments[i]] += score
        start = end
    means /= length
    squares = 0.0
    for i in range(size):
        squares += (z[i] - means[segments[i]]) ** 2
    within = squares / (count * (length - 1))
    grand = means.mean()
    between = length * ((means - grand) ** 2).sum() / (count - 1)
    if within == 0.0:
        return np.nan if between == 0.0 else np.inf
    return np.sqrt((between / within + length - 1) / length)


@kernel
def fold(
    values: Array, segments: NDArray[np.int64], folded: Array, folded_segments: NDArray[np.int64]
) -> None:
    """Distances of sorted values from their median, sorted, with their segments; all of shape (size,)."""
    size = values.size
    median = 0.5 * (values[(size - 1) // 2] + values[size // 2])
    left, right = size // 2 - 1, size // 2
    for i in range(size):
        below = abs(values[left] - median) if left >= 0 else np.inf
        above = abs(values[right] - median) if right < size else np.inf
        if left >= 0 and (right >= size or below <= above):
            folded[i] = below
            folded_segments[i] = segments[left]
            left -= 1
        else:
            folded[i] = above
            folded_segments[i] = segments[right]
            right += 1


@kernel
def window_rhat(draws: Array, order: NDArray[np.int64], first: int, last: int, scores: Array) -> float:
    """R-hat of the draws first ... last - 1 of all chains.

    `draws`: (chains, iterations), `order`: (chains * iterations,), positions in the flat array by size;
    `scores`: normal scores of as many ranks as the half chains of the window hold draws.
    """
    chains, iterations = draws.shape
    half = (last - first) // 2
    size = 2 * chains * half
    values = np.empty(size)
    segments = np.empty(size, np.int64)
    count = 0
    for position in order:
        chain = position // iterations
        draw = position - chain * iterations
        if draw < first or draw >= last or (first + half <= draw < last - half):
            continue  # the middle draw of an odd number is in neither half
        values[count] = draws[chain, draw]
        segments[count] = 2 * chain + (draw >= last - half)
        count += 1
    if values[0] == values[size - 1]:
        return np.nan
    bulk = score_ratio(values, segments, 2 * chains, half, scores)
    folded = np.empty(size)
    folded_segments = np.empty(size, np.int64)
    fold(values, segments, folded, folded_segments)
    if folded[0] == folded[size - 1]:
        return bulk
    return max(bulk, score_ratio(folded, folded_segments, 2 * chains, half, scores))


def rhat(draws: Array) -> float:
    """R-hat of draws (chains, draws); nan for constants, one chain, fewer than 4 draws, non-finite ones."""
    return float(window_table(draws, [(0, draws.shape[1])], {})[0])


def window_table(draws: Array, windows: Sequence[tuple[int, int]], scores: dict[int, Array]) -> Array:
    """R-hat of draws (chains, draws) in each window [first, last), shape (windows,).

    `scores` keeps the normal scores for each number of draws, to be shared by rows.
    """
    table = np.full(len(windows), np.nan)
    if draws.shape[0] < 2 or not np.isfinite(draws).all():
        return table
    draws = np.ascontiguousarray(draws, dtype=np.float64)
    order = np.argsort(draws, axis=None).astype(np.int64, copy=False)
    for i, (first, last) in enumerate(windows):
        if last - first < MINIMUM:
            continue
        size = 2 * draws.shape[0] * ((last - first) // 2)
        if size not in scores:
            scores[size] = rank_scores(size)
        table[i] = window_rhat(draws, order, first, last, scores[size])
    return table


def checkpoint_windows(burn: int) -> list[tuple[int, int]]:
    """The windows [first, last) of the burn-in table: the second half of the draws up to k * burn / 20."""
    ends = [k * burn // CHECKPOINTS for k in range(1, CHECKPOINTS + 1)]
    return [(end // 2, end) for end in ends]


def rhat_table(rows: Sequence[Array], burn: int) -> Array:
    """R-hat of each row (chains, draws) at each checkpoint of its first `burn` draws, shape (rows, 20)."""
    windows = checkpoint_windows(burn)
    scores: dict[int, Array] = {}

    def one(row: Array) -> Array:
        return window_table(row[:, :burn], windows, scores)

    if not rows:
        return np.zeros((0, CHECKPOINTS))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return np.vstack(list(pool.map(one, rows)))
