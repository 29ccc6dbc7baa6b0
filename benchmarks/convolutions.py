"""Convolutions of real models: their shapes, and the work of each in minigen and in PyTorch.

Every layer is one trilinear form in the larger image x (N, H, W, C), the weight (T, C/G, K) and the smaller image y (N, P, Q, K),

    sum over n, p, q, taps, c, k of  x[n, h, w, c] weight[tap, c, k] y[n, p, q, k],       2 N P Q T C K / G operations,

and each of its passes is a derivative of it. T counts the live taps: those that a mask leaves.
"""

import itertools
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import harness
import numpy as np

from minigen.kernels.convolution.geometry import Geometry
from minigen.nn import tap_mask

PASSES = ("forward", "input gradient", "weight gradient")
PLAIN, MASKED, TRANSPOSED = KERNELS = ("convolution", "masked convolution", "transposed convolution")


class Layer(NamedTuple):
    """A layer and the batch that it sees. Images and kernels are square."""

    kernel: str
    model: str
    batch: int
    size: int  # of the layer's input
    inputs: int
    outputs: int
    taps: int  # in a row of the kernel
    stride: int = 1
    padding: int = 0
    more: int = 0  # output_padding
    groups: int = 1
    mask: str = ""  # "A" or "B"

    @property
    def out_size(self) -> int:
        """Height and width of the layer's output."""
        if self.kernel == TRANSPOSED:
            return (self.size - 1) * self.stride - 2 * self.padding + self.taps + self.more
        return (self.size + 2 * self.padding - self.taps) // self.stride + 1

    @property
    def shape(self) -> str:
        """The layer in words."""
        stride = f" stride {self.stride}" if self.stride > 1 else ""
        depthwise = " depthwise" if self.groups > 1 else ""
        kind = f" {self.mask}" if self.mask else ""
        image = f"{self.batch}x{self.size}x{self.size}x{self.inputs}"
        return f"{image} -> {self.outputs}, {self.taps}x{self.taps}{kind}{stride}{depthwise}"

    @property
    def smaller(self) -> "Layer":
        """The layer with little work, to see that it runs."""
        return self._replace(batch=1, size=min(self.size, 16))

    @property
    def tap_mask(self) -> np.ndarray:
        """Which taps are live, (kh, kw)."""
        kernel = (self.taps, self.taps)
        return tap_mask(kernel, kind=self.mask) if self.mask else np.ones(kernel, bool)

    @property
    def geometry(self) -> Geometry:
        """That of the convolution, or of the one which is transposed: it goes from the larger image to the smaller one."""
        large, small = (self.out_size, self.size) if self.kernel == TRANSPOSED else (self.size, self.out_size)
        live = self.tap_mask
        taps = tuple((i, j) for i, j in itertools.product(range(self.taps), repeat=2) if live[i, j])
        return Geometry(
            (large, large), (small, small), (self.taps, self.taps), (self.stride, self.stride),
            (self.padding, self.padding), (1, 1), self.groups, taps,
        )  # fmt: skip

    @property
    def operations(self) -> int:
        """Multiplications and additions of a pass, of live taps only."""
        found = self.geometry
        pixels = self.batch * found.out_size[0] * found.out_size[1]
        return 2 * pixels * len(found.taps) * self.inputs * self.outputs // self.groups


LAYERS = (
    Layer(PLAIN, "classifier, first layer", 64, 28, 1, 16, 3, padding=1),
    Layer(PLAIN, "classifier, second layer", 64, 14, 16, 32, 3, padding=1),
    Layer(PLAIN, "VAE, encoder", 64, 14, 32, 64, 4, stride=2, padding=1),
    Layer(PLAIN, "DCGAN, D's first layer", 64, 32, 3, 64, 4, stride=2, padding=1),
    Layer(PLAIN, "DCGAN, D's second layer", 64, 16, 64, 128, 4, stride=2, padding=1),
    Layer(PLAIN, "DCGAN, D's third layer", 64, 8, 128, 256, 4, stride=2, padding=1),
    Layer(PLAIN, "U-Net, 64 x 64", 8, 64, 64, 64, 3, padding=1),
    Layer(PLAIN, "U-Net, 32 x 32", 8, 32, 128, 128, 3, padding=1),
    Layer(PLAIN, "PixelCNN, 1 x 1", 32, 28, 128, 64, 1),
    Layer(PLAIN, "depthwise", 16, 32, 128, 128, 3, padding=1, groups=128),
    Layer(PLAIN, "generator, last layer", 16, 64, 64, 3, 3, padding=1),
    Layer(MASKED, "masked A, 3 x 3", 32, 28, 64, 64, 3, padding=1, mask="A"),
    Layer(MASKED, "masked B, 3 x 3", 32, 28, 64, 64, 3, padding=1, mask="B"),
    Layer(MASKED, "masked A, 5 x 5", 32, 28, 64, 64, 5, padding=2, mask="A"),
    Layer(MASKED, "masked B, 5 x 5", 32, 28, 64, 64, 5, padding=2, mask="B"),
    Layer(MASKED, "masked A, 7 x 7, first layer", 32, 28, 1, 64, 7, padding=3, mask="A"),
    Layer(MASKED, "masked B, 7 x 7", 32, 28, 32, 32, 7, padding=3, mask="B"),
    Layer(TRANSPOSED, "DCGAN, G's second layer", 64, 4, 256, 128, 4, stride=2, padding=1),
    Layer(TRANSPOSED, "DCGAN, G's third layer", 64, 8, 128, 64, 4, stride=2, padding=1),
    Layer(TRANSPOSED, "DCGAN, G's last layer", 64, 16, 64, 3, 4, stride=2, padding=1),
    Layer(TRANSPOSED, "VAE, decoder", 64, 7, 64, 32, 4, stride=2, padding=1),
    Layer(TRANSPOSED, "VAE, decoder's last layer", 64, 14, 32, 1, 4, stride=2, padding=1),
    Layer(TRANSPOSED, "U-Net, upwards", 8, 32, 128, 64, 3, stride=2, padding=1, more=1),
    Layer(TRANSPOSED, "CycleGAN, upwards", 1, 64, 256, 128, 3, stride=2, padding=1, more=1),
)
"""Taken from models of images of 28 x 28, 32 x 32 and 64 x 64; CycleGAN's (Zhu et al. 2017) are of 256 x 256. The masked ones are those of
PixelCNN, whose A sees the image: on 64 channels it stands beside B for comparison."""


def growing(base: Layer, *, quick: bool) -> dict[str, list[tuple[int, Layer]]]:
    """Return what grows -> its values, and the layer with each."""
    values = {
        "batch": (1, 4, 16, 64, 256),
        "image height and width": (4, 8, 16, 32, 64),
        "channels": (8, 16, 32, 64, 128, 256),
    }
    settings = {"batch": ("batch",), "image height and width": ("size",), "channels": ("inputs", "outputs")}
    return {
        name: [(n, base._replace(**dict.fromkeys(settings[name], n))) for n in (found[:2] if quick else found)]
        for name, found in values.items()
    }


GROWTH = {"batch": 1, "image height and width": 2, "channels": 2}
"""The exponents of exact proportionality to the operations."""


def operands(layer: Layer) -> list[np.ndarray]:
    """Return x, (N, H, W, C_in), the weight, the bias and the cotangent of the output, (N, P, Q, C_out), drawn at random."""
    rng = np.random.default_rng(0)
    ends = (layer.outputs, layer.inputs) if layer.kernel == TRANSPOSED else (layer.inputs, layer.outputs)
    return [
        rng.standard_normal(shape, dtype=np.float32)
        for shape in (
            (layer.batch, layer.size, layer.size, layer.inputs),
            (layer.taps, layer.taps, ends[0] // layer.groups, ends[1]),
            (layer.outputs,),
            (layer.batch, layer.out_size, layer.out_size, layer.outputs),
        )
    ]


def works(layer: Layer, library: ModuleType, arrays: Sequence[Any]) -> dict[str, harness.Work]:
    """Return pass -> its work by a module that has `convolve`, `convolve_transposed` and `convolve_weight`; in the order of PASSES."""
    x, weight, bias, g = arrays
    there, back, gradient = library.convolve, library.convolve_transposed, library.convolve_weight
    large, small = x, g
    if layer.kernel == TRANSPOSED:
        there, back, large, small = back, there, g, x
    geometry = layer.geometry
    return {
        "forward": lambda: there(x, weight, bias, geometry=geometry),
        "input gradient": lambda: back(g, weight, None, geometry=geometry),
        "weight gradient": lambda: gradient(large, small, geometry=geometry),
    }


def torch_works(
    torch: Any, layer: Layer, arrays: Sequence[np.ndarray], layout: str, device: str
) -> dict[str, harness.Work]:
    """Return the same work in PyTorch, on images laid out "NCHW" or "channels_last".

    A masked convolution is a dense one there, with a weight that is multiplied by the mask, and so is its gradient.
    """
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format

    def tensor(array: np.ndarray, *axes: int) -> Any:
        return torch.from_numpy(array).permute(axes).to(device).contiguous(memory_format=form)

    x, weight, g = tensor(arrays[0], 0, 3, 1, 2), tensor(arrays[1], 3, 2, 0, 1), tensor(arrays[3], 0, 3, 1, 2)
    bias, mask = (torch.from_numpy(array).to(device) for array in (arrays[2], layer.tap_mask.astype(np.float32)))
    is_masked, transposed = bool(layer.mask), layer.kernel == TRANSPOSED
    stride, padding, more = [layer.stride] * 2, [layer.padding] * 2, [layer.more] * 2
    masked = (weight * mask).contiguous(memory_format=form)

    def forward() -> Any:
        used = weight * mask if is_masked else weight
        return torch.convolution(x, used, bias, stride, padding, [1, 1], transposed, more, layer.groups)

    def backward(wanted: list[bool]) -> Any:
        return torch.ops.aten.convolution_backward(
            g, x, masked, None, stride, padding, [1, 1], transposed, more, layer.groups, wanted
        )

    def weight_gradient() -> Any:
        found = backward([False, True, False])[1]
        return found * mask if is_masked else found

    return {
        "forward": forward,
        "input gradient": lambda: backward([True, False, False])[0],
        "weight gradient": weight_gradient,
    }
