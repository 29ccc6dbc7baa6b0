"""A masked convolution in PyTorch: a dense one whose weight is multiplied by the mask, as it is usually written."""

from typing import Any

from minigen import nn
from minigen.backend import Array


def masked_convolution(
    torch: Any, before: int, after: int, *, kernel: tuple[int, int], kind: str, stack: str = "raster"
) -> Any:
    """Return the twin of `nn.MaskedConv2d` for images of one colour.

    Args:
        torch: the module.
        before: channels that come in.
        after: channels that go out.
        kernel, kind, stack: as of `nn.tap_mask`.
    """

    class MaskedConvolution(torch.nn.Conv2d):
        def __init__(self, mask: Array) -> None:
            super().__init__(before, after, kernel, padding=(kernel[0] // 2, kernel[1] // 2))
            self.register_buffer("mask", torch.from_numpy(mask.astype("float32")))

        def forward(self, x: Any) -> Any:
            return self._conv_forward(x, self.weight * self.mask, self.bias)

    return MaskedConvolution(nn.tap_mask(kernel, kind=kind, stack=stack))
