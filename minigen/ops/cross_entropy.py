"""The cross-entropy of a classifier, with weights for the classes, labels to leave out, and smoothed targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np  # noqa: F401 - for the examples

from minigen.engine import Tensor, TensorLike
from minigen.ops.composite import composite
from minigen.ops.elementwise import divide, multiply, negative, not_equal, subtract, where
from minigen.ops.index import check_indices, gather, index
from minigen.ops.reduce import log_softmax, sum
from minigen.ops.shape import astype, expand_dims, squeeze
from minigen.sizes import is_whole, shown

if TYPE_CHECKING:
    from jaxtyping import Float, Integer

REDUCTIONS = ("mean", "sum", "none")


@composite
def cross_entropy(
    logits: Float[TensorLike, "*batch K"],
    targets: Integer[TensorLike, "*batch"] | Float[TensorLike, "*batch K"],
    *,
    weight: Float[TensorLike, "K"] | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Float[Tensor, "..."]:
    """Return the cross-entropy of targets and softmax(logits) in nats, as torch.nn.functional.cross_entropy, but with classes last.

    With p = softmax(l), one weight w_k for each class, and the targets' probabilities q, which are smoothed by e,

        loss = -sum_k w_k q'_k log p_k,     q' = (1 - e) q + e / K.           Szegedy et al. 2016, "Rethinking the Inception", section 7

    A target that is the label y has q_y = 1. The mean of labels' losses is a weighted one, the sum of them divided by that of all w_y; the
    mean of losses whose targets are probabilities is divided by their number. In a batch that leaves nothing to divide by, because it is
    empty, all targets are ignored, or their weights are 0, the mean is 0, with gradient 0, where PyTorch's is NaN.

    Args:
        logits: l, of K classes; -inf makes a class impossible, and 0 log 0 is 0.
        targets: labels in [0, K), or probabilities; through the latter gradients flow too.
        weight: w; None for 1.
        ignore_index: a label, inside or outside [0, K), whose places count for nothing; None for none.
        reduction: "mean", "sum", or "none" for the loss at each place.
        label_smoothing: e, from 0 to 1.

    Returns:
        A single number, or (*batch) for the reduction "none".

    Raises:
        IndexError: a label is outside [0, K), and not to be ignored; see `check_indices`.
        ValueError: the shapes do not agree, or a setting is none of those above.
        TypeError: the targets are neither integers nor floating-point numbers.

    Example:
        >>> logits = np.log(np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]]))
        >>> losses = cross_entropy(logits, np.array([0, 2]), reduction="none")
        >>> np.exp(-losses)
        array([0.5 , 0.25])
        >>> cross_entropy(logits, np.array([0, -100]), ignore_index=-100) == losses[0]
        np.True_
    """
    _check(logits.shape, targets, weight, ignore_index, reduction, label_smoothing)
    if logits.dtype == "float16":  # in which a sum over the batch may overflow
        wide = cross_entropy(
            astype(logits, dtype="float32"), targets,
            weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing,
        )  # fmt: skip
        return astype(wide, dtype="float16")
    log_p, kept, e = log_softmax(logits), 1.0 - label_smoothing, label_smoothing / (logits.shape[-1] or 1)
    weight = None if weight is None else astype(weight, dtype=logits.dtype)
    if targets.dtype.kind == "f":
        q = kept * astype(targets, dtype=logits.dtype) + e
        losses = negative(sum(_times_log(q if weight is None else weight * q, log_p), axis=-1))
        return _reduced(losses, losses.size, reduction)

    seen = None if ignore_index is None else not_equal(targets, ignore_index)
    labels = targets if seen is None else where(seen, targets, 0)
    check_indices("cross_entropy", labels, logits.shape[-1], name="targets")
    log_p_y = squeeze(gather(log_p, expand_dims(labels, -1), axis=-1), axis=-1)
    w_y = None if weight is None else index(weight, labels)
    losses = multiply(-kept, log_p_y if w_y is None else _times_log(w_y, log_p_y))
    if label_smoothing:
        losses = subtract(losses, e * sum(log_p if weight is None else _times_log(weight, log_p), axis=-1))
    if seen is None:
        return _reduced(losses, losses.size if w_y is None else sum(w_y), reduction)
    weights = astype(seen, dtype=logits.dtype) if w_y is None else where(seen, w_y, 0.0)
    return _reduced(where(seen, losses, 0.0), sum(weights), reduction)


def _times_log(q: TensorLike, log_p: TensorLike) -> TensorLike:
    """Return q log p, where 0 log 0 is 0."""
    return multiply(q, where(log_p == -math.inf, where(q == 0, 0.0, log_p), log_p))


def _reduced(losses: TensorLike, total: TensorLike | int, reduction: str) -> TensorLike:
    """Return the losses, their sum, or their mean: the sum divided by the total of their weights, 0 if that is 0."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return sum(losses)
    if isinstance(total, int):
        return divide(sum(losses), total or 1)
    return divide(where(total == 0, 0.0, sum(losses)), where(total == 0, 1.0, total))


def _check(
    shape: tuple[int, ...],
    targets: TensorLike,
    weight: TensorLike | None,
    ignore_index: int | None,
    reduction: str,
    label_smoothing: float,
) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"cross_entropy: reduction {shown(reduction)} is unknown; it is one of {', '.join(REDUCTIONS)}"
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is {shown(label_smoothing)}, expected a number from 0 to 1")
    found = type(targets).__name__ if isinstance(targets, int | float) else targets.dtype
    if isinstance(found, str) or found.kind not in "iuf":
        raise TypeError(
            f"cross_entropy: the targets are {found}; expected an array or a Tensor of integers, which are labels, or of floating-point "
            f"numbers, which are the classes' probabilities"
        )
    if targets.dtype.kind == "f" and ignore_index is not None:
        raise ValueError(
            f"cross_entropy: ignore_index {ignore_index} is a label, but the targets are probabilities; multiply the losses of "
            f'reduction="none" by 0 where they are to be ignored'
        )
    if ignore_index is not None and not is_whole(ignore_index):
        raise ValueError(f"cross_entropy: ignore_index is {shown(ignore_index)}, expected a whole number or None")
    if len(shape) == 0 or targets.shape != (shape if targets.dtype.kind == "f" else shape[:-1]):
        raise ValueError(
            f"cross_entropy: targets of {targets.dtype} have shape {targets.shape}, logits {shape}; with logits (*batch, K) expected "
            f"labels (*batch) or probabilities (*batch, K): the classes stand last"
        )
    if weight is not None and weight.shape != shape[-1:]:
        raise ValueError(f"cross_entropy: weight has shape {weight.shape}, expected one for each class, {shape[-1:]}")
