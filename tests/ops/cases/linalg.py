"""Cases of products of matrices and sums over indices."""

from typing import Any

import numpy as np

import minigen as mg
from minigen.ops.linalg import einstein_sum, matrix_product
from ops.cases.case import case, normal


def product_of_transposed(
    a: np.ndarray, b: np.ndarray, transpose_a: bool = False, transpose_b: bool = False
) -> np.ndarray:
    return np.matmul(a.swapaxes(-1, -2) if transpose_a else a, b.swapaxes(-1, -2) if transpose_b else b)


case(matrix_product, normal(2, 3), normal(3, 4), expected=np.matmul)
case(matrix_product, normal(2, 1, 3, 2), normal(4, 2, 3), expected=np.matmul, label="broadcast")
case(matrix_product, normal(2, 0), normal(0, 3), expected=np.matmul, label="over nothing")
case(matrix_product, normal(3, 2), normal(3, 4), transpose_a=True, expected=product_of_transposed, label="a transposed")
case(matrix_product, normal(2, 3), normal(4, 3), transpose_b=True, expected=product_of_transposed, label="b transposed")
case(
    matrix_product,
    normal(2, 1, 3, 2),
    normal(4, 5, 3),
    transpose_a=True,
    transpose_b=True,
    expected=product_of_transposed,
    label="both transposed, broadcast",
)
case(mg.matmul, normal(3), normal(3), expected=np.matmul, label="vectors")
case(mg.matmul, normal(2, 3), normal(3), expected=np.matmul, label="matrix,vector")
case(mg.matmul, normal(3), normal(2, 3, 4), expected=np.matmul, label="vector,stack")
case(mg.matmul, normal(2, 2, 3), normal(3, 2), expected=np.matmul, label="stack,matrix")
case(mg.matmul, normal(2, 2, 3), normal(1, 3, 2), expected=np.matmul, label="stacks")
case(mg.matmul, normal(2, 2, 0), normal(0, 3), expected=np.matmul, label="stack,over nothing")
case(mg.linear, normal(4, 3), normal(3, 2), normal(2), expected=lambda x, w, b: x @ w + b)
case(mg.linear, normal(2, 4, 3), normal(3, 2), normal(2), expected=lambda x, w, b: x @ w + b, label="stack")
case(mg.linear, normal(3), normal(3, 2), normal(2), expected=lambda x, w, b: x @ w + b, label="vector")
case(mg.linear, normal(4, 3), normal(3, 2), expected=lambda x, w: x @ w, label="no bias")
case(mg.linear, normal(0, 3), normal(3, 2), normal(2), expected=lambda x, w, b: x @ w + b, label="empty")
case(einstein_sum, normal(2, 3), normal(3, 4), inputs=("ij", "jk"), output="ik", expected=lambda a, b, **_: a @ b)
case(einstein_sum, normal(2, 3), inputs=("ij",), output="", expected=lambda a, **_: a.sum(), label="sum of all")


def einsum(*arrays: Any, subscripts: str) -> Any:
    return mg.einsum(subscripts, *arrays)


def summed(subscripts: str, *arrays: np.ndarray) -> None:
    case(
        einsum,
        *arrays,
        subscripts=subscripts,
        label=subscripts,
        expected=lambda *arrays, subscripts: np.einsum(subscripts, *arrays),
    )


summed("ij,jk->ik", normal(2, 3), normal(3, 4))
summed("ij,jk", normal(2, 3), normal(3, 4))
summed("ij->ji", normal(2, 3))
summed("ij->j", normal(2, 3))
summed("ij,kj,jl->kil", normal(2, 3), normal(2, 3), normal(3, 2))
summed("ii", normal(3, 3))
summed("ii->i", normal(3, 3))
summed("iij,j->i", normal(3, 3, 2), normal(2))
summed("...ij,jk->...ik", normal(2, 2, 3), normal(3, 2))
summed("...i,...i", normal(2, 1, 3), normal(4, 3))
summed("i,j->ij", normal(2), normal(0))
summed("ij,ij->", normal(2, 3), normal(2, 3))
