"""Cases of the cross-entropy."""

from typing import Any

import numpy as np
import scipy.special

import minigen as mg
from ops.cases.case import case, fixed


def cross_entropy(
    logits: np.ndarray,
    targets: np.ndarray,
    *,
    weight: Any = None,
    ignore_index: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> np.ndarray:
    """Place by place, with every target as probabilities of the classes."""
    k = logits.shape[-1]
    weight = np.ones(k) if weight is None else weight
    losses, weights = np.zeros(logits.shape[:-1]), np.zeros(logits.shape[:-1])
    for place in np.ndindex(logits.shape[:-1]):
        is_label = targets.dtype.kind != "f"
        if is_label and targets[place] == ignore_index:
            continue
        q = np.eye(k)[targets[place]] if is_label else targets[place]
        q = (1 - label_smoothing) * q + label_smoothing / k
        losses[place] = -np.sum(weight * q * scipy.special.log_softmax(logits[place]))
        weights[place] = weight[targets[place]] if is_label else 1.0
    return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / (weights.sum() or 1.0)}[reduction]


labels = np.array([[0, 2, 1], [2, 2, -1]])
weight = np.array([0.5, 2.0, 0.25, 1.0])
probabilities = scipy.special.softmax(fixed(2, 3, 4), axis=-1)
logits = 3.0 * fixed(2, 3, 4)
case(mg.cross_entropy, logits[0], labels[0], expected=cross_entropy, label="labels")
case(mg.cross_entropy, logits[0], labels[0], expected=cross_entropy, reduction="none", label="none")
case(mg.cross_entropy, logits[0], labels[0], expected=cross_entropy, reduction="sum", weight=weight, label="sum")
case(mg.cross_entropy, logits, labels, expected=cross_entropy, ignore_index=-1, label="ignored")
case(
    mg.cross_entropy, logits, labels, expected=cross_entropy, ignore_index=-1, weight=weight, label_smoothing=0.3, label="everything"
)  # fmt: skip
case(mg.cross_entropy, logits, np.abs(labels), expected=cross_entropy, ignore_index=2, label="a class ignored")
case(mg.cross_entropy, logits[0], labels[0], expected=cross_entropy, label_smoothing=0.1, label="smoothed")
case(mg.cross_entropy, logits, probabilities, expected=cross_entropy, label="probabilities")
case(
    mg.cross_entropy, logits, probabilities, expected=cross_entropy, weight=weight, label_smoothing=0.2, reduction="none",
    label="probabilities, weighted, smoothed",
)  # fmt: skip
case(mg.cross_entropy, logits[0, 0], labels[0, 0], expected=cross_entropy, label="one")
case(
    mg.cross_entropy, logits[0, 0], labels[0, 1], expected=cross_entropy, weight=weight, label_smoothing=0.1, ignore_index=0,
    reduction="none", label="one, none",
)  # fmt: skip
case(mg.cross_entropy, logits[0, :0], labels[0, :0], expected=cross_entropy, label="empty")
