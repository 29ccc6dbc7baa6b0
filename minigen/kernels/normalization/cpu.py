# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and vectors Numba's.
"""The kernels of normalization for float32 NumPy arrays, compiled by Numba.

The axes split the shape of x into (A, R, G, B), of which R and B are normalized over and the others are kept:

    batch norm       A = 1               R = N H W    G = C         B = 1
    group norm       A = N               R = H W      G = groups    B = C / groups
    instance norm    A = N               R = H W      G = C         B = 1
    layer norm       A = N, or N H W     R = 1        G = 1         B = C, or H W C

Two families of loops serve them all. Where R = 1 a group is a row of B numbers, and one row after the other is read and written while it
lies in the cache. Else x is a matrix whose G B columns lie side by side: one pass over its rows sums up each column, the columns of
a group are put together, and a second pass writes the outcome. What may differ from example to example (means, or the factors of a
conditional norm) is a table with a row for each *segment* of rows. Few columns make short loops, so then several rows are *folded* into
one.

Long sums are float64 sums of float32 partial sums. Where a square overflows in float32, which the variance shows, everything is computed
again in float64.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minigen.backend import Array
from minigen.kernels import threads
from minigen.kernels.compiler import inlined, inner, loop, summing
from minigen.kernels.normalization import reference
from minigen.kernels.threads import SMALLEST_PIECE, in_pieces
from minigen.kernels.vectors import minus, sum_of, times

_ZERO, _ONE = np.float32(0), np.float32(1)
_BLOCK = 128
"""Rows, of which each column is summed up in float32."""
_PART = 1024
"""Numbers of a row that are summed up in float32."""
_FIRST = 16
"""Rows, from whose mean the columns of a segment are measured until there is a better one."""
_WIDTH = 256
"""Columns that rows are folded to have."""
_PIECE = 4 * SMALLEST_PIECE
"""Numbers that are worth a thread: little is done with each."""

Shape = tuple[int, ...]


class Form(NamedTuple):
    """A shape as (A, R, G, B)."""

    shape: Shape
    first: int  # the axes before it make up A
    second: int  # from `first` to here R
    third: int  # from `second` to here G, from here on B

    @property
    def is_rows(self) -> bool:
        """Which of the families serves it."""
        return self.first == self.second or self.pixels == 1

    @property
    def examples(self) -> int:
        """A."""
        return math.prod(self.shape[: self.first])

    @property
    def pixels(self) -> int:
        """R."""
        return math.prod(self.shape[self.first : self.second])

    @property
    def length(self) -> int:
        """B."""
        return math.prod(self.shape[self.third :])

    @property
    def groups(self) -> int:
        """G."""
        return math.prod(self.shape[self.second : self.third])

    @property
    def columns(self) -> int:
        """G B."""
        return math.prod(self.shape[self.second :])

    @property
    def kept(self) -> Shape:
        """The shape of the moments."""
        first, second, third = self.first, self.second, self.third
        ones = (1,) * len(self.shape)
        return self.shape[:first] + ones[first:second] + self.shape[second:third] + ones[third:]


@functools.lru_cache(maxsize=256)
def _form(shape: Shape, axes: Shape) -> Form | None:
    """Return the form in which the axes see the shape, or None if there is none: another order, or nothing to normalize."""
    kinds = "".join("R" if axis in axes else "K" for axis in range(len(shape)))
    third = len(kinds.rstrip("R"))
    second = len(kinds[:third].rstrip("K"))
    first = len(kinds[:second].rstrip("R"))
    fits = math.prod(shape) > 0 and "R" not in kinds[:first] and all(0 <= axis < len(shape) for axis in axes)
    return Form(shape, first, second, third) if fits else None


@functools.lru_cache(maxsize=256)
def _common(form: Form, factors: tuple[Shape | None, ...]) -> Shape | None:
    """Return the shape, among the axes of x, of the largest of the factors, or None if the loops cannot serve them.

    A factor is a table. In the family of rows its rows have B numbers and repeat over those of x. In that of columns they have G B, and
    there is one for each segment, or one for all. None stands for a factor of 1 row.
    """
    shape, split = form.shape, form.third if form.is_rows else form.second
    found = [(1,) * split + shape[split:]]
    for factor in factors:
        if factor is None:
            continue
        padded = (1,) * (len(shape) - len(factor)) + factor
        kept = padded[:split] if form.is_rows else padded[:split][::-1]
        ones = next((i for i, n in enumerate(kept) if n != 1), split)  # then all must be whole
        if len(padded) > len(shape) or padded[split:] != shape[split:]:
            return None
        if kept[ones:] != (shape[:split] if form.is_rows else shape[:split][::-1])[ones:]:
            return None
        found.append(padded)
    counts = {math.prod(each[:split]) for each in found} | ({1} if form.is_rows else {form.examples})
    return max(found, key=math.prod) if counts <= {1, max(counts)} else None


def _table(factor: Array | None, length: int, missing: np.float32) -> Array:
    """Return a factor as a matrix of so long rows."""
    return np.full((1, length), missing) if factor is None else np.ascontiguousarray(factor).reshape(-1, length)


def _matrix(x: Array, length: int) -> Array:
    return np.ascontiguousarray(x).reshape(-1, length)


def _folds(form: Form, segments: int) -> int:
    """Return how many rows are folded into one: a power of two that divides the rows of a segment, and leaves many of them."""
    rows = math.prod(form.shape) // (segments * form.columns)
    most = max(1, min(_WIDTH // form.columns, rows // (8 * _BLOCK)))
    return min(1 << (most.bit_length() - 1), rows & -rows)


def _folded(table: Array, folds: int) -> Array:
    return table if folds == 1 else np.concatenate([table] * folds, axis=1)


# --------------------------------------------------------------------------------------------------- rows


@summing
def _deviations(row, shift):
    """The sums of x - shift and of its square."""
    total = squares = _ZERO
    for k in range(row.size):
        d = minus(row[k], shift)
        total += d
        squares += times(d, d)
    return total, squares


@summing
def _products(g, x, weight, shift, scale):
    """The sums of g weight and of g weight (x - shift) scale."""
    total = products = _ZERO
    for k in range(g.size):
        weighted = times(g[k], weight[k])
        total += weighted
        products += times(weighted, times(minus(x[k], shift), scale))
    return total, products


@inner
def _wide_row_moments(row):
    mean = squares = 0.0
    for k in range(row.size):
        mean += np.float64(row[k])
    mean /= row.size
    for k in range(row.size):
        d = np.float64(row[k]) - mean
        squares += d * d
    return mean, squares / row.size


@inner
def _row_moments(row):
    """The mean and the variance of a row: each part's about the mean of what came before, merged as Chan, Golub & LeVeque (1983) do.

    In float64, which holds the square of every float32.
    """
    mean, squares = np.float64(sum_of(row[:_PART])) / min(_PART, row.size), 0.0
    for start in range(0, row.size, _PART):
        part = row[start : start + _PART]
        shift = np.float32(mean)
        total, part_squares = _deviations(part, shift)
        miss = np.float64(total) / part.size
        delta = np.float64(shift) + miss - mean
        if start == 0:
            mean += delta
            squares = np.float64(part_squares) - miss * total
        else:
            share = part.size / (start + part.size)
            mean += share * delta
            squares += np.float64(part_squares) - miss * total + delta * delta * share * start
    variance = squares / row.size
    if not variance < np.inf:
        return _wide_row_moments(row)
    return mean, (0.0 if variance < 0.0 else variance)


@loop
def _moments_of_rows(mean, deviation, x, first, last):
    for r in range(first, last):
        center, spread = _row_moments(x[r])
        mean[r], deviation[r] = center, math.sqrt(spread)


@inner
def _write(to, row, weight, bias, mean, scale):
    for k in range(row.size):
        to[k] = (row[k] - mean) * scale * weight[k] + bias[k]


@loop
def _normalize_rows_by(out, x, weight, bias, mean, scale, first, last):
    for r in range(first, last):
        _write(out[r], x[r], weight[r % len(weight)], bias[r % len(bias)], mean[r], scale[r])


@loop
def _normalize_rows(out, mean, scale, x, weight, bias, epsilon, first, last):
    for r in range(first, last):
        center, spread = _row_moments(x[r])
        mean[r], scale[r] = center, 1.0 / math.sqrt(spread + epsilon)
        _write(out[r], x[r], weight[r % len(weight)], bias[r % len(bias)], mean[r], scale[r])


@loop
def _normalize_rows_backward(out, weight_sums, bias_sums, g, x, weight, mean, scale, first, last):
    """Fill `out` with the gradient of x. Add to the two sums what belongs to each row of a factor's table."""
    cycle, length = weight_sums.shape
    products, totals = np.zeros((cycle, length), np.float32), np.zeros((cycle, length), np.float32)
    for r in range(first, last):
        to, row, factors, w = out[r], x[r], g[r], weight[r % len(weight)]
        product, total = products[r % cycle], totals[r % cycle]
        m, s = mean[r], scale[r]
        sum_g = sum_product = 0.0
        for start in range(0, length, _PART):
            part = slice(start, start + _PART)
            part_g, part_product = _products(factors[part], row[part], w[part], m, s)
            sum_g += part_g
            sum_product += part_product
        offset = np.float32(s * sum_g / length)
        slope = np.float32(s * sum_product / length)
        for k in range(length):
            normal = (row[k] - m) * s
            to[k] = s * factors[k] * w[k] - offset - normal * slope
            product[k] += factors[k] * normal
            total[k] += factors[k]
        if (r + 1 - first) % (_BLOCK * cycle) == 0 or r + 1 == last:
            for c in range(cycle):
                for k in range(length):
                    weight_sums[c, k] += products[c, k]
                    bias_sums[c, k] += totals[c, k]
                    products[c, k] = totals[c, k] = _ZERO


def _by_rows(work: Callable[[int, int], object], x: Array) -> None:
    in_pieces(work, len(x), -(-_PIECE // x.shape[1]))


# ------------------------------------------------------------------------------------------------ columns


@inner
def _wide_moments_of_segment(center, spread, x, top, bottom):
    center[:] = 0.0
    spread[:] = 0.0
    for r in range(top, bottom):
        row = x[r]
        for k in range(row.size):
            center[k] += np.float64(row[k])
    for k in range(center.size):
        center[k] /= bottom - top
    for r in range(top, bottom):
        row = x[r]
        for k in range(row.size):
            d = np.float64(row[k]) - center[k]
            spread[k] += d * d


@inlined
def _moments_of_segment(center, spread, x, top, bottom, shift, sums, squares):
    """Fill in the moments of each column of the rows from `top` up to `bottom`: block by block, as `_row_moments` does."""
    c, few = x.shape[1], min(_FIRST, bottom - top)
    center[:] = 0.0
    spread[:] = 0.0
    shift[:] = _ZERO
    for r in range(top, top + few):
        row = x[r]
        for k in range(c):
            shift[k] += row[k]
    for k in range(c):
        shift[k] /= np.float32(few)
    for start in range(top, bottom, _BLOCK):
        stop = min(start + _BLOCK, bottom)
        fours = start + (stop - start) // 4 * 4
        sums[:] = _ZERO
        squares[:] = _ZERO
        for r in range(start, fours, 4):  # sums are read and written once in four rows
            first_row, second, third, fourth = x[r], x[r + 1], x[r + 2], x[r + 3]
            for k in range(c):
                a, b = first_row[k] - shift[k], second[k] - shift[k]
                d, e = third[k] - shift[k], fourth[k] - shift[k]
                sums[k] += (a + b) + (d + e)
                squares[k] += (a * a + b * b) + (d * d + e * e)
        for r in range(fours, stop):
            row = x[r]
            for k in range(c):
                d = row[k] - shift[k]
                sums[k] += d
                squares[k] += d * d
        share = (stop - start) / (stop - top)
        for k in range(c):
            total = np.float64(sums[k])
            miss = total / (stop - start)
            delta = np.float64(shift[k]) + miss - center[k]
            spread[k] += squares[k] - miss * total + delta * delta * (share * (start - top))
            center[k] += share * delta
            shift[k] = np.float32(center[k])
    total_spread = 0.0
    for k in range(c):
        total_spread += spread[k]
    if not total_spread < np.inf:
        _wide_moments_of_segment(center, spread, x, top, bottom)
    for k in range(c):
        spread[k] /= bottom - top


@loop
def _moments_of_columns(mean, variance, x, bounds, first, last):
    """For each segment of rows, from one bound to the next, the moments of each column."""
    c = x.shape[1]
    shift, sums, squares = np.empty(c, np.float32), np.empty(c, np.float32), np.empty(c, np.float32)
    for s in range(first, last):
        _moments_of_segment(mean[s], variance[s], x, bounds[s], bounds[s + 1], shift, sums, squares)


@inner
def _mean_over(columns, group, groups, length):
    """The mean of the columns of a group: of each fold `length` columns side by side."""
    total, width = 0.0, groups * length
    for start in range(group * length, columns.size, width):
        for k in range(start, start + length):
            total += columns[k]
    return total / (columns.size // groups)


@loop
def _normalize_segments(out, mean, scale, x, weight, bias, bounds, length, epsilon, first, last):
    """Moments and outcome, segment by segment: the cache still holds a segment when it is read again. mean, scale: (A, G)."""
    c, groups = x.shape[1], mean.shape[1]
    shift, sums, squares = np.empty(c, np.float32), np.empty(c, np.float32), np.empty(c, np.float32)
    center, spread, factor, offset = np.empty(c), np.empty(c), np.empty(c, np.float32), np.empty(c, np.float32)
    for s in range(first, last):
        _moments_of_segment(center, spread, x, bounds[s], bounds[s + 1], shift, sums, squares)
        w, b = weight[s % len(weight)], bias[s % len(bias)]
        for group in range(groups):
            middle = _mean_over(center, group, groups, length)
            for start in range(group * length, c, groups * length):
                for k in range(start, start + length):
                    spread[k] += (center[k] - middle) ** 2
            wide = max(0.0, _mean_over(spread, group, groups, length))
            mean[s, group], scale[s, group] = middle, 1.0 / math.sqrt(wide + epsilon)
            for start in range(group * length, c, groups * length):
                for k in range(start, start + length):
                    factor[k], offset[k] = scale[s, group] * w[k], mean[s, group]
        for r in range(bounds[s], bounds[s + 1]):
            to, row = out[r], x[r]
            for k in range(c):
                to[k] = (row[k] - offset[k]) * factor[k] + b[k]


@inlined
def _products_of_segment(total, product, g, x, m, n, top, bottom, sums, partial):
    """Fill in the sums of g and of g (x - m) n in each column of the rows from `top` up to `bottom`."""
    c = x.shape[1]
    total[:] = 0.0
    product[:] = 0.0
    for start in range(top, bottom, _BLOCK):
        sums[:] = _ZERO
        partial[:] = _ZERO
        for r in range(start, min(start + _BLOCK, bottom)):
            row, factors = x[r], g[r]
            for k in range(c):
                sums[k] += factors[k]
                partial[k] += factors[k] * ((row[k] - m[k]) * n[k])
        for k in range(c):
            total[k] += sums[k]
            product[k] += partial[k]


@loop
def _products_of_columns(totals, products, g, x, mean, scale, bounds, first, last):
    """For each segment, the sums of g and of g (x - mean) scale in each column."""
    sums, partial = np.empty(x.shape[1], np.float32), np.empty(x.shape[1], np.float32)
    for s in range(first, last):
        m, n = mean[s % len(mean)], scale[s % len(scale)]
        _products_of_segment(totals[s], products[s], g, x, m, n, bounds[s], bounds[s + 1], sums, partial)


@loop
def _segments_backward(out, totals, products, g, x, weight, mean, scale, bounds, length, groups, first, last):
    """The same, and the gradient of x, of one segment after the other. mean, scale: (A, columns)."""
    c = x.shape[1]
    sums, partial, factor = np.empty(c, np.float32), np.empty(c, np.float32), np.empty(c, np.float32)
    offset, slope = np.empty(c, np.float32), np.empty(c, np.float32)
    weighted, weighted_product = np.empty(c), np.empty(c)
    for s in range(first, last):
        m, n, w = mean[s], scale[s], weight[s % len(weight)]
        _products_of_segment(totals[s], products[s], g, x, m, n, bounds[s], bounds[s + 1], sums, partial)
        rows = bounds[s + 1] - bounds[s]
        for k in range(c):
            weighted[k], weighted_product[k] = totals[s, k] * w[k], products[s, k] * w[k]
            factor[k] = n[k] * w[k]
        for group in range(groups):
            over_g = _mean_over(weighted, group, groups, length) / rows
            over_product = _mean_over(weighted_product, group, groups, length) / rows
            for start in range(group * length, c, groups * length):
                for k in range(start, start + length):
                    offset[k], slope[k] = n[k] * over_g, n[k] * over_product
        for r in range(bounds[s], bounds[s + 1]):
            to, row, factors = out[r], x[r], g[r]
            for k in range(c):
                to[k] = factor[k] * factors[k] - offset[k] - (row[k] - m[k]) * n[k] * slope[k]


@loop
def _normalize_columns_by(out, x, mean, factor, bias, bounds, first, last):
    """(x - mean) factor + bias, of tables with a row for each segment, or one for all."""
    for s in range(first, last):
        m, f, b = mean[s % len(mean)], factor[s % len(factor)], bias[s % len(bias)]
        for r in range(bounds[s], bounds[s + 1]):
            to, row = out[r], x[r]
            for k in range(row.size):
                to[k] = (row[k] - m[k]) * f[k] + b[k]


@loop
def _normalize_columns_backward(out, g, x, mean, scale, factor, offset, slope, bounds, first, last):
    """Fill `out` with factor g - offset - (x - mean) scale slope, segment by segment."""
    for s in range(first, last):
        m, n, f = mean[s % len(mean)], scale[s % len(scale)], factor[s % len(factor)]
        o, v = offset[s % len(offset)], slope[s % len(slope)]
        for r in range(bounds[s], bounds[s + 1]):
            to, row, factors = out[r], x[r], g[r]
            for k in range(row.size):
                to[k] = f[k] * factors[k] - o[k] - (row[k] - m[k]) * n[k] * v[k]


def _bounds(x: Array, segments: int) -> Array:
    """Return where the segments begin and end. A single one is cut into as many as there are threads to work on it."""
    if segments == 1:
        segments = max(1, min(threads.get_threads(), x.size // _PIECE))
    return np.arange(segments + 1) * len(x) // segments


def _by_segments(work: Callable[[int, int], object], x: Array, bounds: Array) -> None:
    segments = len(bounds) - 1
    in_pieces(work, segments, max(1, _PIECE * segments // x.size))


def _over_group(columns: Array, form: Form) -> Array:
    """Return the mean over the columns of each group, and over segments that share their moments: (segments, folds G B) -> (A, G)."""
    if columns.shape[1] > form.groups:
        columns = columns.reshape(len(columns), -1, form.groups, form.length).mean(axis=(1, 3))
    return columns if len(columns) == form.examples else columns.mean(axis=0, keepdims=True)


def _over_columns(groups: Array, form: Form, folds: int) -> Array:
    """Return each group's number in each of its columns: (A, G) -> (A, folds G B)."""
    columns = groups.reshape(form.examples, -1)
    return _folded(np.repeat(columns, form.length, axis=1) if form.length > 1 else columns, folds)


def _of_columns(x: Array, form: Form) -> tuple[Array, Array]:
    """Return mean and standard deviation."""
    folds = _folds(form, form.examples)
    x = _matrix(x, folds * form.columns)
    bounds = _bounds(x, form.examples)
    mean, variance = np.empty((2, len(bounds) - 1, x.shape[1]))
    _by_segments(lambda a, b: _moments_of_columns(mean, variance, x, bounds, a, b), x, bounds)
    if mean.size > form.examples * form.groups:
        share = np.diff(bounds)[:, None] * (len(mean) / len(x))  # of each segment; 1 where all are equally long
        center = _over_group(mean * share, form)
        deviation = mean - _over_columns(center, form, folds)
        variance = _over_group((variance + deviation * deviation) * share, form)  # that within and that between
        mean = center
    return mean.astype(np.float32), np.sqrt(np.maximum(variance, 0.0)).astype(np.float32)


# ------------------------------------------------------------------------------------------------ kernels


def mean_and_deviation(x: Array, *, axes: Shape) -> tuple[Array, Array]:
    form = _form(x.shape, axes)
    if form is None:
        return reference.mean_and_deviation(x, axes=axes)
    if form.is_rows:
        x = _matrix(x, form.length)
        mean, deviation = np.empty((2, len(x)), np.float32)
        _by_rows(lambda a, b: _moments_of_rows(mean, deviation, x, a, b), x)
    else:
        mean, deviation = _of_columns(x, form)
    return mean.reshape(form.kept), deviation.reshape(form.kept)


def normalize_by(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, scale: Array, *, axes: Shape
) -> Array:
    form = _form(x.shape, axes)
    common = form and _common(form, tuple(None if factor is None else factor.shape for factor in (weight, bias)))
    if form is None or common is None or not mean.shape == scale.shape == form.kept:
        return reference.normalize_by(x, weight, bias, mean, scale, axes=axes)
    out = np.empty(x.shape, np.float32)
    if form.is_rows:
        to, x = out.reshape(-1, form.length), _matrix(x, form.length)
        w, b, m, s = _table(weight, form.length, _ONE), _table(bias, form.length, _ZERO), mean.ravel(), scale.ravel()
        _by_rows(lambda first, last: _normalize_rows_by(to, x, w, b, m, s, first, last), x)
        return out
    segments = max(form.examples, math.prod(common) // form.columns)
    folds = _folds(form, segments)
    to, x = out.reshape(-1, folds * form.columns), _matrix(x, folds * form.columns)
    w, b = (_folded(_table(*each), folds) for each in ((weight, form.columns, _ONE), (bias, form.columns, _ZERO)))
    m, factor = _over_columns(mean, form, folds), _over_columns(scale, form, folds) * w
    bounds = _bounds(x, segments)
    _by_segments(lambda first, last: _normalize_columns_by(to, x, m, factor, b, bounds, first, last), x, bounds)
    return out


def normalize(
    x: Array, weight: Array | None, bias: Array | None, *, axes: Shape, epsilon: float
) -> tuple[Array, Array, Array]:
    form = _form(x.shape, axes)
    common = form and _common(form, tuple(None if factor is None else factor.shape for factor in (weight, bias)))
    if form is None or common is None:
        return reference.normalize(x, weight, bias, axes=axes, epsilon=epsilon)
    if not form.is_rows and math.prod(common) <= form.examples * form.columns and form.examples > 1:
        return _normalize_examples(form, x, weight, bias, epsilon)
    if not form.is_rows:
        mean, deviation = mean_and_deviation(x, axes=axes)
        scale = 1.0 / np.hypot(deviation, math.sqrt(epsilon))
        return normalize_by(x, weight, bias, mean, scale, axes=axes), mean, scale
    shape, x = x.shape, _matrix(x, form.length)
    weight, bias = _table(weight, form.length, _ONE), _table(bias, form.length, _ZERO)
    out, (mean, scale) = np.empty(x.shape, np.float32), np.empty((2, len(x)), np.float32)
    _by_rows(lambda a, b: _normalize_rows(out, mean, scale, x, weight, bias, epsilon, a, b), x)
    return out.reshape(shape), mean.reshape(form.kept), scale.reshape(form.kept)


def _normalize_examples(
    form: Form, x: Array, weight: Array | None, bias: Array | None, epsilon: float
) -> tuple[Array, Array, Array]:
    folds = _folds(form, form.examples)
    x = _matrix(x, folds * form.columns)
    w, b = (_folded(_table(*each), folds) for each in ((weight, form.columns, _ONE), (bias, form.columns, _ZERO)))
    bounds, out = _bounds(x, form.examples), np.empty(x.shape, np.float32)
    mean, scale = np.empty((2, form.examples, form.groups), np.float32)
    _by_segments(
        lambda first, last: _normalize_segments(out, mean, scale, x, w, b, bounds, form.length, epsilon, first, last), x, bounds
    )  # fmt: skip
    return out.reshape(form.shape), mean.reshape(form.kept), scale.reshape(form.kept)


def normalize_backward(
    g: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    scale: Array,
    *,
    axes: Shape,
    bias_shape: Shape,
) -> tuple[Array, Array | None, Array]:
    form = _form(x.shape, axes)
    common = form and _common(form, (None if weight is None else weight.shape, bias_shape or None))
    if form is None or common is None or not mean.shape == scale.shape == form.kept or g.shape != x.shape:
        return reference.normalize_backward(g, x, weight, mean, scale, axes=axes, bias_shape=bias_shape)
    backward = _rows_backward if form.is_rows else _columns_backward
    out, along_weight, along_bias = backward(form, common, g, x, weight, mean, scale)
    return (
        out.reshape(x.shape),
        None if weight is None else along_weight.astype(np.float32).reshape(common),
        along_bias.astype(np.float32).reshape(common),
    )


def _rows_backward(
    form: Form, common: Shape, g: Array, x: Array, weight: Array | None, mean: Array, scale: Array
) -> tuple[Array, Array, Array]:
    g, x, weight = _matrix(g, form.length), _matrix(x, form.length), _table(weight, form.length, _ONE)
    out, mean, scale = np.empty(x.shape, np.float32), mean.ravel(), scale.ravel()
    sums: dict[int, Array] = {}

    def work(first: int, last: int) -> None:
        sums[first] = np.zeros((2, math.prod(common) // form.length, form.length))
        _normalize_rows_backward(out, *sums[first], g, x, weight, mean, scale, first, last)

    _by_rows(work, x)
    along_weight, along_bias = sum(sums[first] for first in sorted(sums))  # always in the same order
    return out, along_weight, along_bias


def _columns_backward(
    form: Form, common: Shape, g: Array, x: Array, weight: Array | None, mean: Array, scale: Array
) -> tuple[Array, Array, Array]:
    count = math.prod(common) // form.columns
    folds = _folds(form, max(form.examples, count))
    g, x = _matrix(g, folds * form.columns), _matrix(x, folds * form.columns)
    weight = _folded(_table(weight, form.columns, _ONE), folds)
    mean, scale = _over_columns(mean, form, folds), _over_columns(scale, form, folds)
    bounds, out = _bounds(x, max(form.examples, count)), np.empty(x.shape, np.float32)
    totals, products = np.empty((2, len(bounds) - 1, x.shape[1]))
    shape = (len(bounds) - 1, folds, form.columns)
    over = (0, 1) if count == 1 else 1
    if form.examples == len(bounds) - 1 > 1:
        _by_segments(
            lambda a, b: _segments_backward(
                out, totals, products, g, x, weight, mean, scale, bounds, form.length, form.groups, a, b
            ), x, bounds,
        )  # fmt: skip
        return out, products.reshape(shape).sum(axis=over), totals.reshape(shape).sum(axis=over)
    _by_segments(lambda a, b: _products_of_columns(totals, products, g, x, mean, scale, bounds, a, b), x, bounds)
    rows = len(x) / len(totals)  # of a segment: a sum over them is so many times a mean
    over_g, over_product = (
        _over_columns(_over_group(sums * weight, form) / rows, form, folds).astype(np.float32)
        for sums in (totals, products)
    )
    factor, offset, slope = scale * weight, scale * over_g, scale * over_product
    _by_segments(
        lambda a, b: _normalize_columns_backward(out, g, x, mean, scale, factor, offset, slope, bounds, a, b), x, bounds
    )
    return out, products.reshape(shape).sum(axis=over), totals.reshape(shape).sum(axis=over)
