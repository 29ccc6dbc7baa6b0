"""A function of a network applied to many arrays: without a graph, a few hundred at a time, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import minigen.ops as ops
from minigen.engine import Tensor, no_grad

if TYPE_CHECKING:
    from jaxtyping import Shaped


def in_batches(
    function: Callable[[Shaped[Tensor, "B ..."]], Any],
    arrays: Shaped[NDArray[Any], "N ..."],
    *,
    device: str = "cpu",
    batch_size: int = 500,
) -> Shaped[NDArray[Any], "N ..."]:
    """Return f of all examples, (N, ...) -> (N, ...), computed on a device and brought back.

    Args:
        function: maps a batch, (B, ...), to a Tensor or an array with B along its first axis.
        arrays: N examples on the CPU, at least one.
        device: where to compute.
        batch_size: B.

    Example:
        >>> in_batches(lambda x: x * 2.0, np.arange(5.0), batch_size=2)
        array([0., 2., 4., 6., 8.])
    """
    with no_grad():
        found = [
            ops.tensor(function(ops.tensor(arrays[start : start + batch_size], device=device))).to("cpu").numpy()
            for start in range(0, len(arrays), batch_size)
        ]
    return np.concatenate(found)
