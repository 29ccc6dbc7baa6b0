"""Cases of convolution."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import minigen as mg
from minigen.kernels.convolution.geometry import Geometry
from minigen.ops.conv import convolve, convolve_transposed, convolve_weight
from ops.cases.case import case, normal, rng


def both(setting: Any) -> tuple[Any, Any]:
    return setting if isinstance(setting, tuple) else (setting, setting)


def sides(padding: Any, size: Any, kernel: Any, stride: Any, dilation: Any) -> list[tuple[int, int]]:
    if padding == "same":
        totals = [
            max(0, (math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n)
            for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
        ]
        return [(total // 2, total - total // 2) for total in totals]
    return [both(side) for side in both(padding)]


def meetings(size: Any, out: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> list[tuple[int, ...]]:
    """All (row of the image, row of the output, row of the kernel, and the same of columns) that meet."""
    lines = []
    for n, p, k, s, (t, _), d in zip(size, out, kernel, stride, padding, dilation, strict=True):
        lines.append([(s * a + d * i - t, a, i) for a in range(p) for i in range(k) if 0 <= s * a + d * i - t < n])
    return [(h, p, i, w, q, j) for h, p, i in lines[0] for w, q, j in lines[1]]


def trilinear(
    size: Any, out: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int, c: int, k: int, live: Any
) -> Any:
    """The tensor A of sum A[h, w, c, p, q, k, weight index] x y weight, as a dense array: the definition of all three."""
    form = np.zeros((*size, c * groups, *out, k * groups, *kernel, c, k * groups))
    for h, p, i, w, q, j in meetings(size, out, kernel, stride, padding, dilation):
        for g in range(groups):
            for a, b in np.ndindex(c, k):
                form[h, w, g * c + a, p, q, g * k + b, i, j, a, g * k + b] += live[i, j]
    return form


FORMS = {"convolve": "hwcpqkijal,nhwc,ijal->npqk", "convolve_transposed": "hwcpqkijal,npqk,ijal->nhwc",
         "convolve_weight": "hwcpqkijal,nhwc,npqk->ijal"}  # fmt: skip


def convolution_by_definition(name: str) -> Callable[..., Any]:
    def expected(a: np.ndarray, b: np.ndarray, bias: Any = 0.0, *, geometry: Geometry) -> np.ndarray:
        live = np.zeros(geometry.kernel)
        for tap in geometry.taps:
            live[tap] = 1
        weight_shape = (*geometry.kernel, a.shape[3] // geometry.groups, b.shape[3])
        if name != "convolve_weight":
            weight_shape = b.shape
        padding = [(t, 0) for t in geometry.padding]
        form = trilinear(
            geometry.size, geometry.out_size, geometry.kernel, geometry.stride, padding, geometry.dilation, geometry.groups,
            weight_shape[2], weight_shape[3] // geometry.groups, live,
        )  # fmt: skip
        return np.einsum(FORMS[name], form, a, b) + bias

    return expected


GEOMETRIES = {
    "3x3": Geometry((3, 4), (3, 4), (3, 3), (1, 1), (1, 1), (1, 1), 1, tuple(np.ndindex(3, 3))),
    "masked": Geometry((3, 4), (3, 4), (3, 3), (1, 1), (1, 1), (1, 1), 1, ((0, 0), (0, 2), (1, 0))),
    "strided": Geometry((5, 4), (2, 2), (3, 2), (2, 2), (0, 1), (1, 2), 1, tuple(np.ndindex(3, 2))),
    "phases without taps": Geometry((4, 5), (1, 2), (2, 2), (2, 2), (0, 0), (2, 2), 1, tuple(np.ndindex(2, 2))),
    "groups": Geometry((3, 3), (2, 2), (2, 2), (1, 1), (0, 0), (1, 1), 2, tuple(np.ndindex(2, 2))),
    "no tap": Geometry((2, 2), (2, 2), (1, 1), (1, 1), (0, 0), (1, 1), 1, ()),
}
for label, shape in GEOMETRIES.items():
    x, y, w = normal(2, *shape.size, 4), normal(2, *shape.out_size, 2), normal(*shape.kernel, 4 // shape.groups, 2)
    for function, arrays in (
        (convolve, (x, w, normal(2))),
        (convolve, (x, w)),
        (convolve_transposed, (y, w, normal(4))),
        (convolve_transposed, (y, w)),
        (convolve_weight, (x, y)),
    ):
        note = f"{label}{', bias' if len(arrays) == 3 else ''}"
        case(function, *arrays, label=note, geometry=shape, expected=convolution_by_definition(function.name))


def conv(
    x: np.ndarray, weight: np.ndarray, bias: Any = 0.0, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    mask: Any = None,
) -> np.ndarray:  # fmt: skip
    """The convolution, pixel by pixel."""
    stride, dilation = both(stride), both(dilation)
    kernel = weight.shape[:2]
    around = sides(padding, x.shape[1:3], kernel, stride, dilation)
    if mask is not None:
        weight = weight * (mask if mask.ndim == 4 else mask[:, :, None, None])
    padded = np.pad(x, [(0, 0), *around, (0, 0)])
    c, k = weight.shape[2], weight.shape[3] // groups
    spans = [d * (n - 1) + 1 for d, n in zip(dilation, kernel, strict=True)]
    size = [(n - span) // s + 1 for n, span, s in zip(padded.shape[1:3], spans, stride, strict=True)]
    out = np.zeros((len(x), *size, groups * k))
    for p, q, g in np.ndindex(*size, groups):
        rows, columns = p * stride[0], q * stride[1]
        seen = padded[:, rows : rows + spans[0] : dilation[0], columns : columns + spans[1] : dilation[1]]
        block = slice(g * k, g * k + k)
        out[:, p, q, block] = np.einsum("nijc,ijck->nk", seen[..., g * c : g * c + c], weight[..., block])
    return out + bias


def conv_transposed(
    x: np.ndarray, weight: np.ndarray, bias: Any = 0.0, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, dilation: Any = 1,
    groups: int = 1, mask: Any = None,
) -> np.ndarray:  # fmt: skip
    """The transposed convolution: each pixel adds the kernel, times its value, to the image."""
    stride, dilation, more = both(stride), both(dilation), both(output_padding)
    kernel = weight.shape[:2]
    if mask is not None:
        weight = weight * (mask if mask.ndim == 4 else mask[:, :, None, None])
    reach = [s * (n - 1) + d * (k - 1) + 1 for s, n, d, k in zip(stride, x.shape[1:3], dilation, kernel, strict=True)]
    if padding == "same":
        size = [n * s for n, s in zip(x.shape[1:3], stride, strict=True)]
        around = sides("same", size, kernel, stride, dilation)
    else:
        around = sides(padding, None, kernel, stride, dilation)
        size = [r - t - b + m for r, (t, b), m in zip(reach, around, more, strict=True)]
    c, k = weight.shape[2], weight.shape[3] // groups
    spread = np.zeros((len(x), *(max(r, t + n) for r, (t, _), n in zip(reach, around, size, strict=True)), groups * c))
    for p, q, i, j, g in np.ndindex(*x.shape[1:3], *kernel, groups):
        place = p * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]
        block = slice(g * k, g * k + k)
        spread[:, *place, g * c : g * c + c] += x[:, p, q, block] @ weight[i, j][:, block].T
    (top, _), (left, _) = around
    return spread[:, top : top + size[0], left : left + size[1]] + bias


def lines(images: Callable[..., Any]) -> Callable[..., Any]:
    """A function of images as one of lines."""

    def expected(x: np.ndarray, weight: np.ndarray, bias: Any = 0.0, **settings: Any) -> np.ndarray:
        wide = {n: (1 if n in ("stride", "dilation") else 0, v) for n, v in settings.items() if n in LINES}
        wide |= {n: v for n, v in settings.items() if n not in (*LINES, "mask", "padding")}
        padding = settings.get("padding", 0)
        wide["padding"] = padding if padding == "same" else (0, padding)
        mask = settings.get("mask")
        return images(x[:, None], weight[None], bias, mask=None if mask is None else mask[None], **wide)[:, 0]

    return expected


LINES = ("stride", "dilation", "output_padding")
CHANNEL_MASK = rng.random((3, 3, 2, 4)) < 0.4
CHANNEL_MASK[0, 1] = False
TAP_MASK = np.array([[True, True, True], [True, False, False], [False, False, False]])

case(mg.conv2d, normal(2, 4, 5, 2), normal(3, 2, 2, 3), normal(3), expected=conv, label="plain")
case(
    mg.conv2d,
    normal(1, 5, 4, 2),
    normal(3, 3, 2, 2),
    expected=conv,
    label="strided",
    stride=(2, 1),
    padding=(1, 2),
    dilation=(1, 2),
)
case(
    mg.conv2d, normal(1, 4, 5, 1), normal(2, 3, 1, 2), normal(2), expected=conv, label="sides", padding=((0, 1), (2, 0))
)
case(
    mg.conv2d, normal(1, 5, 4, 2), normal(2, 3, 2, 2), normal(2), expected=conv, label="same", padding="same", stride=2
)
case(mg.conv2d, normal(1, 3, 3, 4), normal(2, 2, 2, 6), normal(6), expected=conv, label="groups", groups=2)
case(
    mg.conv2d, normal(1, 3, 3, 3), normal(2, 2, 1, 6), normal(6), expected=conv, label="depthwise", groups=3, padding=1
)
case(
    mg.conv2d, normal(1, 3, 4, 2), normal(3, 3, 2, 4), expected=conv, label="taps masked", padding="same", mask=TAP_MASK
)
case(
    mg.conv2d,
    normal(1, 3, 3, 2),
    normal(3, 3, 2, 4),
    expected=conv,
    label="channels masked",
    padding=1,
    mask=CHANNEL_MASK,
)
case(mg.conv2d, normal(0, 3, 3, 2), normal(3, 3, 2, 2), expected=conv, label="no image", padding=1)
case(mg.conv2d, normal(1, 1, 1, 2), normal(5, 5, 2, 2), expected=conv, label="one pixel", padding=2)
case(mg.conv2d, normal(2, 3, 3, 0), normal(3, 3, 0, 2), normal(2), expected=conv, label="no channels")
case(mg.conv2d, normal(2, 3, 3, 2), normal(3, 3, 2, 0), normal(0), expected=conv, label="into no channels")
case(mg.conv_transpose2d, normal(2, 2, 3, 2), normal(3, 2, 3, 2), normal(3), expected=conv_transposed, label="plain")
case(
    mg.conv_transpose2d,
    normal(2, 2, 3, 0),
    normal(3, 2, 3, 0),
    normal(3),
    expected=conv_transposed,
    label="no channels",
)
for more in ((0, 0), (1, 0), (0, 2), (1, 2)):
    case(
        mg.conv_transpose2d, normal(1, 2, 2, 2), normal(3, 3, 1, 2), normal(1), expected=conv_transposed, stride=(2, 3), padding=1,
        output_padding=more, label=f"output_padding={more[0]},{more[1]}",
    )  # fmt: skip
case(
    mg.conv_transpose2d,
    normal(1, 3, 2, 2),
    normal(4, 2, 2, 2),
    expected=conv_transposed,
    label="same",
    padding="same",
    stride=2,
)
case(
    mg.conv_transpose2d,
    normal(1, 2, 2, 2),
    normal(2, 2, 2, 2),
    expected=conv_transposed,
    label="holes",
    stride=2,
    dilation=2,
)
case(
    mg.conv_transpose2d,
    normal(1, 2, 2, 4),
    normal(2, 2, 3, 4),
    normal(6),
    expected=conv_transposed,
    label="groups",
    groups=2,
)
case(
    mg.conv_transpose2d,
    normal(1, 2, 2, 6),
    normal(2, 2, 1, 6),
    normal(3),
    expected=conv_transposed,
    label="depthwise",
    groups=3,
)
case(
    mg.conv_transpose2d,
    normal(1, 3, 3, 4),
    normal(3, 3, 2, 4),
    expected=conv_transposed,
    label="taps masked",
    mask=TAP_MASK,
)
case(
    mg.conv_transpose2d,
    normal(1, 2, 2, 4),
    normal(3, 3, 2, 4),
    expected=conv_transposed,
    label="channels masked",
    mask=CHANNEL_MASK,
)
case(mg.conv1d, normal(2, 5, 2), normal(3, 2, 3), normal(3), expected=lines(conv), label="plain")
case(
    mg.conv1d,
    normal(1, 6, 2),
    normal(2, 1, 4),
    expected=lines(conv),
    label="settings",
    stride=2,
    padding=1,
    dilation=2,
    groups=2,
)
case(
    mg.conv1d, normal(1, 4, 2), normal(3, 2, 2), expected=lines(conv), label="causal", padding=(2, 0), mask=TAP_MASK[1]
)
case(mg.conv_transpose1d, normal(2, 3, 3), normal(3, 2, 3), normal(2), expected=lines(conv_transposed), label="plain")
case(
    mg.conv_transpose1d, normal(1, 3, 4), normal(3, 1, 4), expected=lines(conv_transposed), label="settings", stride=2, padding=(1, 0),
    output_padding=1, dilation=2, groups=2,
)  # fmt: skip
case(
    mg.conv_transpose1d,
    normal(1, 3, 2),
    normal(4, 2, 2),
    expected=lines(conv_transposed),
    label="same",
    padding="same",
    stride=2,
)
