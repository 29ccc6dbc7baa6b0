"""Which pixels a convolution brings together: sizes, stride, padding, dilation, and the list of its live taps.

The letters, here and in all that has to do with convolution:

    N          examples in a batch
    H, W, C    height, width and channels of the convolution's input
    P, Q, K    height, width and channels of its output
    kh, kw     height and width of the kernel; a *tap* is one place (i, j) of it
    T          live taps

In height (width is alike), with stride s, dilation d and t rows of zeros above, the tap i of output row p reads the input row

    h = s p + d i - t.                                                                                                   (1)

A convolution is a list of taps: a masked one has fewer of them, and what is not in the list is never computed. A transposed one, which goes
from (P, Q) back to (H, W), solves (1) for p. That needs s to divide h + t - d i; so the rows h with one remainder modulo s, a *phase*,
are reached by the same taps, and each phase is an ordinary convolution of step 1 with these taps:

    h = s a + r:    p = a + (r + t - d i) / s    for the taps i with s | r + t - d i.                                    (2)

Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", has pictures of all of these.
"""

import functools
import itertools
from dataclasses import dataclass
from typing import NamedTuple

from minigen.sizes import Pair


class Sweep(NamedTuple):
    """One ordinary convolution: out[start + stride a] = sum over taps of source[step a + offset] @ weight[tap].

    Attributes:
        taps: where in the flat kernel, at kw i + j, its weights stand.
        offsets: for each of them, the (row, column) of the source that it reads for a = 0; outside the source it reads zeros.
        step: by how much the source's row and column grow with a.
        start: the first (row, column) of the output that is written.
        stride: the distance of those that are written.
        extent: how many rows and columns are written.
    """

    taps: tuple[int, ...]
    offsets: tuple[Pair, ...]
    step: Pair
    start: Pair
    stride: Pair
    extent: Pair


@dataclass(frozen=True)
class Geometry:
    """Which pixels a convolution brings together.

    Attributes:
        size: (H, W).
        out_size: (P, Q).
        kernel: (kh, kw).
        stride: s for (rows, columns).
        padding: t for (rows, columns): the zeros above and to the left. Those below and to the right follow from the sizes.
        dilation: d for (rows, columns).
        groups: into how many groups the channels fall; each group of outputs sees only its group of inputs.
        taps: the live (i, j), row by row.

    Example:
        >>> shape = Geometry((4, 4), (2, 2), (3, 3), (2, 2), (1, 1), (1, 1), 1, ((0, 0), (1, 1), (2, 1)))
        >>> shape.forward.offsets
        ((-1, -1), (0, 0), (1, 0))
        >>> [sweep.taps for sweep in shape.phases]  # none reaches an even row and an odd column
        [(4,), (), (7,), (0,)]
    """

    size: Pair
    out_size: Pair
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    taps: tuple[Pair, ...]

    @functools.cached_property
    def forward(self) -> Sweep:
        """From (H, W) to (P, Q)."""
        (top, left), (down, right) = self.padding, self.dilation
        offsets = tuple((down * i - top, right * j - left) for i, j in self.taps)
        taps = tuple(self.kernel[1] * i + j for i, j in self.taps)
        return Sweep(taps, offsets, self.stride, (0, 0), (1, 1), self.out_size)

    @functools.cached_property
    def phases(self) -> tuple[Sweep, ...]:
        """From (P, Q) to (H, W), as far as there are pixels: one sweep for each phase, by equation (2)."""
        sweeps = []
        for start in itertools.product(range(self.stride[0]), range(self.stride[1])):
            count = tuple(-(-(n - r) // s) for n, r, s in zip(self.size, start, self.stride, strict=True))
            taps, offsets = [], []
            for i, j in self.taps:
                ends = [r + t - d * k for r, t, d, k in zip(start, self.padding, self.dilation, (i, j), strict=True)]
                if all(end % s == 0 for end, s in zip(ends, self.stride, strict=True)):
                    taps.append(self.kernel[1] * i + j)
                    offsets.append((ends[0] // self.stride[0], ends[1] // self.stride[1]))
            if min(count) > 0:
                sweeps.append(Sweep(tuple(taps), tuple(offsets), (1, 1), start, self.stride, (count[0], count[1])))
        return tuple(sweeps)
