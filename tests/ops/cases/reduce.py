"""Cases of reductions, and of softmax and other functions along an axis."""

from typing import Any

import numpy as np
import scipy.special

import minigen as mg
from minigen.ops.reduce import log_softmax_backward, softmax_backward
from ops.cases.case import case, distinct, fixed, normal, positive


def norm(x: np.ndarray, **keywords: Any) -> np.ndarray:
    return np.sqrt(np.sum(x * x, **keywords))


def root_mean_square(x: np.ndarray, *, epsilon: float = 0.0, **keywords: Any) -> np.ndarray:
    return np.sqrt(np.mean(x * x, **keywords) + epsilon)


for reduction in ("sum", "mean", "prod", "var", "max", "min", "norm", "logsumexp"):
    ours = getattr(mg, reduction)
    theirs = {"norm": norm, "logsumexp": scipy.special.logsumexp}.get(reduction) or getattr(np, reduction)
    case(ours, distinct(2, 3), expected=theirs, label="all")
    case(ours, distinct(2, 3, 2), axis=1, expected=theirs, label="axis=1")
    case(ours, distinct(2, 3, 2), axis=(0, -1), keepdims=True, expected=theirs, label="axis=(0,-1),keepdims")
    case(ours, distinct(2, 0, 3), axis=-1, expected=theirs, label="empty")
    case(ours, positive(), expected=theirs, label="()")
case(mg.sum, distinct(2, 0, 3), axis=1, keepdims=True, expected=np.sum, label="over nothing,keepdims")
case(mg.prod, distinct(2, 0, 3), axis=1, keepdims=True, expected=np.prod, label="over nothing,keepdims")
case(mg.prod, distinct(5, 2), axis=0, expected=np.prod, label="odd count")
case(
    mg.var, normal(3, 4), axis=0, correction=1, expected=lambda x, **_: np.var(x, axis=0, ddof=1), label="correction=1"
)
case(mg.root_mean_square, normal(2, 3), expected=root_mean_square, label="all")
case(
    mg.root_mean_square,
    normal(2, 3, 2),
    axis=(0, -1),
    keepdims=True,
    epsilon=0.1,
    expected=root_mean_square,
    label="epsilon",
)
case(mg.root_mean_square, normal(2, 0, 3), axis=-1, epsilon=0.1, expected=root_mean_square, label="empty")
case(mg.root_mean_square, positive(), expected=root_mean_square, label="()")
case(mg.argmax, distinct(3, 4), expected=np.argmax, flows=False, label="all")
case(mg.argmax, distinct(3, 4), axis=1, expected=np.argmax, flows=False, label="axis=1")
case(mg.cumsum, normal(3, 4), axis=0, expected=np.cumsum, label="axis=0")
case(mg.cumsum, normal(3, 4), axis=-1, expected=np.cumsum, label="axis=-1")
case(mg.cumsum, normal(3, 4), axis=None, expected=np.cumsum, label="flattened")
case(mg.cumsum, normal(), axis=0, expected=np.cumsum, label="()")
case(mg.cumsum, normal(0, 4), axis=0, expected=np.cumsum, label="empty")
case(mg.diff, normal(3, 4), expected=np.diff)
case(mg.diff, normal(4, 3), n=2, axis=0, expected=np.diff, label="n=2,axis=0")
case(mg.diff, normal(3), n=4, expected=np.diff, label="down to nothing")
case(mg.diff, normal(0, 4), axis=0, expected=np.diff, label="empty")
for normalised in ("softmax", "log_softmax"):
    theirs = getattr(scipy.special, normalised)
    case(getattr(mg, normalised), normal(3, 4), expected=lambda x, f=theirs: f(x, axis=-1), label="last axis")
    case(getattr(mg, normalised), normal(3, 4, 2), axis=1, expected=theirs, label="axis=1")
    case(getattr(mg, normalised), normal(0, 4), axis=1, expected=theirs, label="empty")
    case(getattr(mg, normalised), normal(3, 0), axis=1, expected=lambda x, axis: x, label="over nothing")
    case(getattr(mg, normalised), normal(), axis=-1, expected=theirs, label="()")


def softmax_derivative(g: np.ndarray, y: np.ndarray, *, axis: int) -> np.ndarray:
    """The product with the matrix of derivatives, diag(y) - y y^T, slice by slice."""
    g, y = np.moveaxis(g, axis, -1), np.moveaxis(y, axis, -1)
    matrices = y[..., None] * np.eye(y.shape[-1]) - y[..., :, None] * y[..., None, :]
    return np.moveaxis((matrices @ g[..., None])[..., 0], -1, axis)


def log_softmax_derivative(g: np.ndarray, y: np.ndarray, *, axis: int) -> np.ndarray:
    """The product with the matrix of derivatives, I - 1 exp(y)^T, from the left, slice by slice."""
    g, y = np.moveaxis(g, axis, -1), np.moveaxis(y, axis, -1)
    matrices = np.eye(y.shape[-1]) - np.exp(y)[..., None, :]
    return np.moveaxis((g[..., None, :] @ matrices)[..., 0, :], -1, axis)


for slope_of, theirs in ((softmax_backward, softmax_derivative), (log_softmax_backward, log_softmax_derivative)):
    case(slope_of, normal(3, 4), normal(3, 4), axis=1, expected=theirs, label="last axis")
    case(slope_of, normal(3, 4, 2), normal(3, 4, 2), axis=1, expected=theirs, label="axis=1")

case(mg.std, fixed(2, 3), expected=np.std, label="all")
case(mg.std, fixed(2, 3, 2), axis=(0, -1), keepdims=True, expected=np.std, label="axis=(0,-1),keepdims")
case(mg.std, fixed(3, 4), axis=1, correction=1, expected=np.std, label="correction=1")
case(mg.std, fixed(2, 0, 3), axis=-1, expected=np.std, label="empty")
case(mg.argmax, fixed(3, 4), axis=1, keepdims=True, expected=np.argmax, flows=False, label="keepdims")
case(mg.argmin, fixed(3, 4), expected=np.argmin, flows=False, label="all")
case(mg.argmin, fixed(3, 4), axis=-2, keepdims=True, expected=np.argmin, flows=False, label="axis=-2,keepdims")
case(mg.argmin, fixed(), axis=0, expected=np.argmin, flows=False, label="()")
for order in (0.5, 1.0, 1.5, 2.0, 3.0, np.inf, -np.inf):
    case(mg.norm, fixed(3, 4), ord=order, axis=1, expected=np.linalg.norm, label=f"ord={order}")
for order in (1.0, 3.5, np.inf):

    def flattened(x: np.ndarray, ord: float, axis: Any = None, keepdims: bool = False) -> np.ndarray:
        return np.linalg.norm(np.moveaxis(x, 1, 0).reshape(x.shape[1], -1), ord=ord, axis=1).reshape(1, -1, 1)

    case(
        mg.norm, fixed(2, 3, 2), ord=order, axis=(0, -1), keepdims=True, expected=flattened, label=f"ord={order},axis=(0,-1),keepdims",
    )  # fmt: skip
    case(
        mg.norm,
        fixed(2, 3),
        ord=order,
        expected=lambda x, ord: np.linalg.norm(x.ravel(), ord),
        label=f"ord={order},all",
    )
    case(mg.norm, fixed(), ord=order, expected=lambda x, ord: abs(x), label=f"ord={order},()")
    case(mg.norm, fixed(2, 0, 3), ord=order, axis=-1, expected=np.linalg.norm, label=f"ord={order},empty")
case(mg.norm, fixed(2, 0), ord=1.0, axis=1, expected=np.linalg.norm, label="ord=1.0,over nothing")
