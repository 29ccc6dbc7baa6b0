"""The order in which `cpu.py` works through a sweep: bands of rows, and the tables that say where in memory their pixels lie."""

import functools
from typing import NamedTuple

import numpy as np

from minigen.backend import Array
from minigen.kernels.convolution.geometry import Pair, Sweep
from minigen.kernels.tile import whole_vectors


class Layout(NamedTuple):
    """Where a sweep reads and writes, counted in floats. A band is some rows of an image's outputs, or all of several images'."""

    images: int  # to a band; one if the band is not all rows
    rows: int  # of outputs, to an image in a band
    bands: int  # to an image
    height: int  # rows of outputs, to an image
    width: int  # outputs, to a row
    step: int  # rows of the source, from one row of outputs to the next
    low_row: int  # of the source, read for the first output
    low_column: int
    reach: int  # rows of the source that one row of outputs reads
    source_height: int
    source_width: int
    source_channels: int
    first_channel: int  # of the group
    channels: int  # of the group
    copied: int  # 1 if bands are copied between zeros, else 0
    line: int  # from one row of a band to the next
    pixel: int  # from one pixel of a band to the next
    out_image: int  # from one image of the output to the next
    out_line: int  # from one row of outputs to the next
    out_first: int


_PIXEL_BAND = 2**16
"""Floats in a band of pixels, unless one row has more: 256 kB, a part of a processor's second cache."""

_PIXELS = 192
"""Outputs in a band, if images are smaller: so often the weights in the cache are used."""


class Plan(NamedTuple):
    """The layout and the tables of a sweep."""

    layout: Layout
    pixels: Array
    places: Array
    jumps: Array
    runs: Array  # the jump of each run's first tap
    terms: Array  # how many numbers a run has or, with lanes, how many taps
    step: int  # from one output's pixel to the next one's
    band_size: int  # floats


@functools.lru_cache(maxsize=512)
def plan_of(
    sweep: Sweep, *, size: Pair, source_channels: int, first_channel: int, channels: int, out_size: Pair, out_channels: int, out_first: int,
    lanes: bool,
) -> Plan:  # fmt: skip
    """Lay out a sweep over images of `size` with so many channels, of which it reads some, to a place in images of `out_size`.

    With `lanes`, tiles read the channels as whole vectors, so in a band they are padded to those with zeros.
    """
    rows_of_taps, columns_of_taps = (np.array([o[axis] for o in sweep.offsets] or [0]) for axis in (0, 1))
    low, reach = zip(
        *((int(o.min()), int(o.max() - o.min()) + 1) for o in (rows_of_taps, columns_of_taps)), strict=True
    )
    high = [a + s * (n - 1) + r for a, s, n, r in zip(low, sweep.step, sweep.extent, reach, strict=True)]
    padded = whole_vectors(channels) if lanes else channels
    copied = min(low) < 0 or high[0] > size[0] or high[1] > size[1] or padded > channels
    pixel = padded if copied else source_channels
    line = pixel * (high[1] - low[1] if copied else size[1])

    rows = min(sweep.extent[0], max(1, (_PIXEL_BAND // line - reach[0]) // sweep.step[0] + 1))
    lines = (rows - 1) * sweep.step[0] + reach[0]  # in a band of one image
    images = 1
    if rows == sweep.extent[0]:
        images = max(1, min(_PIXELS // (rows * sweep.extent[1]), _PIXEL_BAND // (lines * line)))
    image = lines * line if copied else size[0] * size[1] * source_channels
    out_line = out_size[1] * out_channels

    def table(of_image: int, of_row: int, of_column: int) -> Array:  # (images, rows, width), flat
        steps = ((images, of_image), (rows, of_row), (sweep.extent[1], of_column))
        i, a, b = np.ix_(*(np.arange(n) * step for n, step in steps))
        return (i + a + b).ravel()

    layout = Layout(
        images=images,
        rows=rows,
        bands=-(-sweep.extent[0] // rows),
        height=sweep.extent[0],
        width=sweep.extent[1],
        step=sweep.step[0],
        low_row=low[0],
        low_column=low[1],
        reach=reach[0],
        source_height=size[0],
        source_width=size[1],
        source_channels=source_channels,
        first_channel=first_channel,
        channels=channels,
        copied=int(copied),
        line=line,
        pixel=pixel,
        out_image=out_size[0] * out_line,
        out_line=sweep.stride[0] * out_line,
        out_first=sweep.start[0] * out_line + sweep.start[1] * out_channels + out_first,
    )
    jumps = ((rows_of_taps - low[0]) * line + (columns_of_taps - low[1]) * pixel)[: len(sweep.taps)]
    begins = np.append(True, np.diff(jumps) != (pixel if lanes else channels))[: len(jumps)]  # no run goes on here
    terms = np.bincount(begins.cumsum() - 1) * (1 if lanes else channels) if len(jumps) else jumps
    return Plan(
        layout,
        pixels=table(image, sweep.step[0] * line, sweep.step[1] * pixel),
        places=table(layout.out_image, layout.out_line, sweep.stride[1] * out_channels),
        jumps=jumps,
        runs=jumps[begins],
        terms=terms,
        step=sweep.step[1] * pixel,
        band_size=images * lines * line if copied else 0,
    )
