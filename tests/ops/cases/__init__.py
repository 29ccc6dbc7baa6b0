"""One list of cases for all operations; every check of an operation runs over it.

A case is a call. Gradients are taken with respect to its float64 arrays, away from kinks, where a gradient is a convention
(`test_conventions.py`); integer and boolean arrays are indices and masks. A registered primitive without a case fails the suite.

Each file has the cases of the file of the same name in `minigen/ops/`; `case.py` says how to add one.
"""

from importlib import import_module

from ops.cases.case import CASES, Case, is_float, package_primitives

__all__ = ["CASES", "FILES", "Case", "is_float", "package_primitives"]

FILES = (
    "elementwise",
    "reduce",
    "bits",
    "gated",
    "shape",
    "index",
    "linalg",
    "pool",
    "norm",
    "conv",
    "estimators",
    "attention",
    "recurrent",
    "nade",
    "image_lstm",
    "trigonometry",
    "powers",
    "rounding",
    "products",
    "diagonals",
    "sorting",
    "cross_entropy",
    "decompositions",
)
"""In this order, since one generator draws the arguments of all cases."""

for file in FILES:
    import_module(f"ops.cases.{file}")
