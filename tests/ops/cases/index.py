"""Cases of indexing: reading at a key, and adding at a key, which is its gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np

import minigen as mg
from minigen.ops.index import ARRAY, index, put, take
from ops.cases.case import case, normal

mask = np.array([[True, False, True], [False, False, True]])


def keyed(key: Any) -> dict[str, Any]:
    return {"key": key, "expected": lambda x, key: x[key]}


case(index, normal(3, 4), label="integer", **keyed(1))
case(index, normal(4), label="to ()", **keyed(-1))
case(index, normal(4, 5), label="slices", **keyed((slice(None, None, 2), None, slice(-1, None, -2))))
case(index, normal(2, 3, 4), label="ellipsis", **keyed((..., 0)))
case(index, normal(4, 3), label="nothing", **keyed(slice(0, 0)))
case(index, normal(4, 3), label="repeated rows", **keyed(np.array([2, 0, 2])))
around = (np.array([[0], [3]]), slice(None), np.array([1, 1]))
case(index, normal(4, 3, 2), label="arrays around a slice", **keyed(around))
case(index, normal(2, 3), label="mask", **keyed(mask))
case(index, normal(2, 3), label="mask of nothing", **keyed(np.zeros((2, 3), bool)))
case(index, normal(4, 3), label="list", **keyed([3, 3, 1]))
rows, columns = np.array([0, 2, 2]), np.array([1, 1, 1])
case(take, normal(3, 2), rows, columns, pattern=(ARRAY, ARRAY), expected=lambda x, *_, pattern: x[rows, columns])
case(take, normal(3, 2), pattern=(slice(1, None), None), expected=lambda x, pattern: x[1:, None], label="slices")


def put_at(key: Any) -> Callable[..., np.ndarray]:
    """Zeros with the values added at a key, one after the other."""

    def expected(values: np.ndarray, *_: Any, pattern: Any, shape: tuple[int, ...]) -> np.ndarray:
        out = np.zeros(shape)
        places = np.arange(out.size).reshape(shape)[key]
        for place, value in zip(places.ravel(), values.ravel(), strict=True):
            out.reshape(-1)[place] += value
        return out

    return expected


case(put, normal(3), rows, columns, pattern=(ARRAY, ARRAY), shape=(3, 2), expected=put_at((rows, columns)))
case(
    put,
    normal(2, 1, 2),
    pattern=(slice(1, None), None),
    shape=(3, 2),
    expected=put_at((slice(1, None), None)),
    label="slices",
)
case(put, normal(3), mask, pattern=(ARRAY,), shape=(2, 3), expected=put_at(mask), label="mask")
for label, of_rows in {"rows": [[2, 0], [-1, 2]], "one row": 1, "no rows": np.zeros(0, int)}.items():
    numbers = np.array(of_rows)
    case(put, normal(*numbers.shape, 2), numbers, pattern=(ARRAY,), shape=(4, 2), expected=put_at(numbers), label=label)
case(put, normal(3), rows, pattern=(ARRAY,), shape=(4,), expected=put_at(rows), label="elements")
picks = np.array([[1, 1], [0, 2]])
case(mg.gather, normal(2, 3), picks, axis=1, expected=np.take_along_axis)
case(mg.gather, normal(3, 2), np.array([[1, 2]]), axis=-2, expected=np.take_along_axis, label="first axis")


def scatter_added(x: np.ndarray, indices: np.ndarray, values: np.ndarray, axis: int) -> np.ndarray:
    """One-hot rows pick where the values go: (rows, picks, 1) * (rows, picks, columns), for axis 1."""
    return x + (values[:, :, None] * np.eye(x.shape[1])[indices]).sum(1)


case(mg.scatter_add, normal(2, 3), picks, normal(2, 2), axis=1, expected=scatter_added)
