"""Cases of operations that change shapes, dtypes and places, not values."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

import minigen as mg
from minigen.engine import sum_to
from minigen.ops.shape import join
from ops.cases.case import case, normal


def on_arrays(module: ModuleType, name: str) -> Callable[..., Any]:
    """A module's function of one sequence of arrays, as a function of the arrays."""

    def spread(*arrays: Any, **keywords: Any) -> Any:
        return getattr(module, name)(arrays, **keywords)

    spread.__name__ = name
    return spread


case(sum_to, normal(2, 3, 4), shape=(3, 1), expected=lambda x, shape: x.sum((0, 2)).reshape(shape))
case(sum_to, normal(2, 3, 4), shape=(3, 4), label="rows of matrices", expected=lambda x, shape: x.sum(0))
case(sum_to, normal(2, 3, 4), shape=(1, 3, 4), label="1 in front", expected=lambda x, shape: x.sum(0, keepdims=True))
case(sum_to, normal(2, 3, 4), shape=(1, 1), label="all 1", expected=lambda x, shape: x.sum().reshape(shape))
case(sum_to, normal(0, 3, 4), shape=(3, 4), label="no rows", expected=lambda x, shape: np.zeros(shape))
case(sum_to, normal(2, 3), shape=(), label="()", expected=lambda x, shape: x.sum())
case(sum_to, normal(2, 3), shape=(2, 3), label="same", expected=lambda x, shape: x)
case(sum_to, normal(0, 3), shape=(3,), label="empty", expected=lambda x, shape: np.zeros(shape))
case(mg.broadcast_to, normal(3, 1), shape=(2, 3, 4), expected=np.broadcast_to)
case(mg.broadcast_to, normal(), shape=(2, 2), expected=np.broadcast_to, label="()")
case(mg.broadcast_to, normal(1, 3), shape=(0, 3), expected=np.broadcast_to, label="empty")
case(mg.astype, normal(2, 3), dtype="float64", expected=lambda x, dtype: x)
case(mg.reshape, normal(2, 6), shape=(3, -1), expected=lambda x, shape: np.reshape(x, shape))
case(mg.reshape, normal(), shape=(1, 1), expected=lambda x, shape: np.reshape(x, shape), label="()")
case(mg.reshape, normal(0, 6), shape=(3, 0), expected=lambda x, shape: np.reshape(x, shape), label="empty")
case(mg.transpose, normal(2, 3, 4), expected=np.transpose, label="reversed")
case(mg.transpose, normal(2, 3, 4), axes=(1, -1, 0), expected=np.transpose)
case(mg.transpose, normal(), expected=np.transpose, label="()")
case(mg.moveaxis, normal(2, 3, 4, 2), source=(0, 2), destination=(-1, 0), expected=np.moveaxis)
case(mg.swapaxes, normal(2, 3, 4), axis1=0, axis2=-1, expected=np.swapaxes)
case(mg.swapaxes, normal(2, 3), axis1=1, axis2=1, expected=np.swapaxes, label="same")
case(mg.squeeze, normal(1, 3, 1), expected=np.squeeze, label="all")
case(mg.squeeze, normal(1, 3, 1), axis=-1, expected=np.squeeze)
case(mg.expand_dims, normal(3, 2), axis=(0, -1), expected=np.expand_dims)
case(mg.flip, normal(3, 4), expected=np.flip, label="all")
case(mg.flip, normal(3, 4), axis=-1, expected=np.flip)
case(mg.roll, normal(3, 4), shift=2, expected=np.roll, label="flattened")
case(mg.roll, normal(3, 4), shift=-5, axis=1, expected=np.roll, label="axis=1")
case(mg.roll, normal(3, 4, 2), shift=(1, -1), axis=(0, -2), expected=np.roll, label="two axes")
case(mg.roll, normal(3, 4), shift=1, axis=(0, 1), expected=np.roll, label="one shift for two axes")
case(mg.roll, normal(0, 3), shift=1, axis=0, expected=np.roll, label="empty")
case(mg.roll, normal(), shift=1, expected=np.roll, label="()")
case(mg.repeat, normal(2, 3), repeats=3, axis=1, expected=np.repeat)
case(mg.repeat, normal(2, 3), repeats=2, expected=np.repeat, label="flattened")
case(mg.repeat, normal(), repeats=2, expected=np.repeat, label="()")
case(mg.tile, normal(2, 3), repetitions=(2, 1, 3), expected=lambda x, repetitions: np.tile(x, repetitions))
case(join, normal(2, 3), normal(2, 1), normal(2, 2), axis=-1, expected=on_arrays(np, "concatenate"))
case(on_arrays(mg, "concatenate"), normal(2, 3), normal(1, 3), expected=on_arrays(np, "concatenate"))
case(
    on_arrays(mg, "concatenate"),
    normal(2, 3),
    normal(0, 3),
    expected=on_arrays(np, "concatenate"),
    label="with nothing",
)
case(on_arrays(mg, "stack"), normal(2, 3), normal(2, 3), axis=1, expected=on_arrays(np, "stack"))
case(on_arrays(mg, "stack"), normal(), normal(), expected=on_arrays(np, "stack"), label="()")
case(on_arrays(mg, "vstack"), normal(3), normal(2, 3), expected=on_arrays(np, "vstack"))
case(on_arrays(mg, "vstack"), normal(), normal(), expected=on_arrays(np, "vstack"), label="()")
case(on_arrays(mg, "vstack"), normal(1, 2, 3), normal(2, 2, 3), expected=on_arrays(np, "vstack"), label="stacks")
case(on_arrays(mg, "hstack"), normal(3), normal(), expected=on_arrays(np, "hstack"), label="vector,number")
case(on_arrays(mg, "hstack"), normal(2, 1), normal(2, 3), expected=on_arrays(np, "hstack"))
case(mg.array_split, normal(2, 8), sections=3, axis=-1, expected=lambda x, **_: np.array_split(x, 3, -1))
case(mg.array_split, normal(2), sections=3, expected=lambda x, **_: np.array_split(x, 3), label="empty part")
case(mg.array_split, normal(5), sections=(1, 4), expected=lambda x, **_: np.array_split(x, (1, 4)), label="cuts")
case(mg.split, normal(4, 3), sections=2, expected=lambda x, **_: np.split(x, 2))
case(mg.split, normal(2, 6), sections=(1, 4), axis=1, expected=lambda x, **_: np.split(x, (1, 4), 1), label="cuts")
case(
    mg.pad,
    normal(2, 3),
    width=((1, 0), (2, 1)),
    value=0.5,
    expected=lambda x, width, value: np.pad(x, width, constant_values=value),
)
case(mg.pad, normal(0, 3), width=((1, 1), (0, 0)), expected=lambda x, width: np.pad(x, width), label="empty")
case(mg.ops.to_device, normal(2, 3), device="cpu", source="cpu", expected=lambda x, device, source: x)
