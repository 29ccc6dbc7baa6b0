"""Under np.seterr(all="raise") a result that is too small for its dtype is still 0, forward and backward; it is never an error.

Every case of an operation runs with its arguments scaled until exponentials vanish. Wherever all results are finite, nothing may raise: no
underflow, and no division by zero or invalid operation whose outcome is thrown away.
"""

import numpy as np
import pytest

import minigen as mg
from minigen.optim import Adam, RMSProp
from ops.cases import CASES, Case

SCALES = (1.0, 1e-310, 1e-160, 1e-30, 30.0, 1e3, 1e12)


def outcomes(case: Case, floats):
    """The outputs, and the gradients both recorded and not."""
    x = [mg.Tensor(array, requires_grad=True) for array in floats]
    y = case.outputs(x)
    found = [output.data for output in y]
    for create_graph in (False, True) if case.differentiable else ():
        halves = [np.full(output.shape, 0.5, output.dtype) for output in y]
        gradients = mg.grad(y, x, halves, retain_graph=True, create_graph=create_graph, allow_unused=True)
        found += [g.data for g in gradients if g is not None]
    return found


FIRST = {case.name: case for case in reversed(CASES)}
PARAMETERS = [
    pytest.param(case, id=str(case), marks=[] if case is FIRST[case.name] else pytest.mark.slow) for case in CASES
]


@pytest.mark.parametrize("case", PARAMETERS)
def test_no_operation_raises_where_all_is_finite(case: Case):
    for dtype in ("float32", "float64"):
        for scale in SCALES:
            with np.errstate(all="ignore"):
                floats = [(x * scale).astype(dtype) for x in case.floats]
                try:
                    expected = outcomes(case, floats)
                except np.linalg.LinAlgError:  # what is left of the matrix is 0
                    continue
            if all(np.isfinite(array).all() for array in expected):
                with np.errstate(all="raise"):
                    found = outcomes(case, floats)
                for obtained, wanted in zip(found, expected, strict=True):
                    np.testing.assert_array_equal(obtained, wanted)


def test_what_is_not_benign_still_raises():
    with np.errstate(all="raise"):
        for call in (lambda: mg.log(np.zeros(2)), lambda: mg.exp(np.full(2, 1e4)), lambda: mg.divide(np.zeros(2), 0.0)):
            with pytest.raises(FloatingPointError):
                call()


@pytest.mark.parametrize("kind", [Adam, RMSProp])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_along_a_tiny_gradient(kind, dtype):
    w = mg.nn.Parameter(np.ones(2, dtype))
    optimizer = kind({"w": w}, learning_rate=0.1)
    with np.errstate(all="raise"):
        for _ in range(3):
            optimizer.zero_grad()
            mg.sum(w * np.array(1e-30 if dtype == "float32" else 1e-200, dtype)).backward()
            optimizer.clip_gradients(1.0)
            optimizer.step()
    assert np.isfinite(w.data).all()
