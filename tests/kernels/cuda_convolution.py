"""The CUDA kernels of convolution against the reference: comparisons of `cuda_simulator.py`, which take the array module.

The arrays hold small integers. All sums are exact then, in any order, and outcomes must be equal. In the simulator the module is the double
of CuPy, so that what is computed outside of the kernels is held to CuPy's rules, and its new arrays are full of NaN.
"""

import itertools
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigen.kernels import cuda
from minigen.kernels.convolution import cuda as convolution
from minigen.kernels.convolution import reference
from minigen.kernels.convolution.geometry import Geometry

EXAMPLES = {"simulated": 40, "gpu": 300}


class Case(NamedTuple):
    geometry: Geometry
    batch: int = 2
    inputs: int = 2  # channels of a group
    outputs: int = 5
    bias: bool = True
    contiguous: bool = True
    workspace: int = convolution.WORKSPACE
    threads: int = 64  # that are enough


def geometry(size, out_size, kernel, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, taps=None):
    every = tuple(itertools.product(range(kernel[0]), range(kernel[1])))
    return Geometry(size, out_size, kernel, stride, padding, dilation, groups, every if taps is None else taps)


SAME = geometry((4, 5), (4, 5), (3, 3), padding=(1, 1))
HALVED = geometry((5, 4), (3, 2), (4, 3), stride=(2, 2), padding=(1, 1))
SPREAD = geometry((6, 5), (2, 3), (2, 3), stride=(3, 1), padding=(2, 2), dilation=(2, 2))
MASKED = geometry((4, 4), (4, 4), (3, 3), padding=(1, 1), taps=((0, 0), (0, 2), (1, 0)))
CASES = {
    "dense": Case(SAME),
    "many inputs": Case(SAME, inputs=7, outputs=5, bias=False),
    "few outputs": Case(HALVED, inputs=6, outputs=1),
    "stride": Case(HALVED, inputs=5),
    "stride, step by step": Case(HALVED, inputs=5, workspace=100),
    "a row at a time": Case(HALVED, inputs=5, bias=False, workspace=1),
    "dilation": Case(SPREAD, inputs=6, outputs=6),
    "masked": Case(MASKED, inputs=5),
    "no taps": Case(geometry((2, 2), (2, 2), (3, 3), padding=(1, 1), taps=()), inputs=5),
    "no taps and few outputs": Case(geometry((2, 2), (2, 2), (3, 3), padding=(1, 1), taps=()), outputs=1, bias=False),
    "phases without taps": Case(geometry((5, 5), (3, 3), (1, 2), stride=(2, 2)), inputs=5),
    "phases without pixels": Case(geometry((1, 2), (1, 1), (3, 3), stride=(3, 3), padding=(1, 1)), inputs=5),
    "pointwise": Case(geometry((3, 4), (3, 4), (1, 1)), inputs=5, outputs=6),
    "pointwise groups": Case(geometry((3, 4), (3, 4), (1, 1), groups=2), inputs=5, outputs=6),
    "pointwise, step by step": Case(geometry((3, 4), (3, 4), (1, 1)), inputs=5, workspace=50),
    "pointwise, shifted": Case(geometry((3, 4), (3, 4), (1, 1), padding=(1, 0)), inputs=5),
    "groups": Case(geometry((4, 3), (2, 3), (3, 2), stride=(2, 1), padding=(1, 1), groups=2), inputs=6, outputs=5),
    "narrow groups": Case(geometry((4, 3), (2, 3), (3, 2), stride=(2, 1), groups=3), inputs=2, outputs=3),
    "depthwise": Case(geometry((4, 4), (4, 4), (3, 3), padding=(1, 1), groups=5), inputs=1, outputs=1),
    "depthwise, times 6": Case(geometry((5, 4), (2, 3), (3, 3), stride=(2, 1), groups=3), inputs=1, outputs=6),
    "depthwise, a stride": Case(geometry((5, 6), (3, 4), (3, 3), stride=(2, 2), padding=(1, 1), groups=3), inputs=1, outputs=1),
    "depthwise, masked": Case(replace(MASKED, groups=4), inputs=1, outputs=1),
    "empty batch": Case(SAME, batch=0, inputs=6),
    "empty batch, depthwise": Case(geometry((2, 2), (2, 2), (1, 1), groups=2), batch=0, inputs=1, outputs=1),
    "one pixel": Case(geometry((1, 1), (1, 1), (3, 3), padding=(1, 1)), batch=1, inputs=5),
    "any strides": Case(HALVED, inputs=5, contiguous=False),
    "any strides, depthwise": Case(geometry((3, 4), (3, 3), (2, 2), groups=3), inputs=1, outputs=2, contiguous=False),
}  # fmt: skip


@st.composite
def cases(draw):
    def pair(low, high):
        return draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel = pair(1, 3)
    every = list(itertools.product(range(kernel[0]), range(kernel[1])))
    taps = draw(st.lists(st.sampled_from(every), unique=True)) if draw(st.booleans()) else every
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    return Case(
        Geometry(pair(1, 5), pair(1, 4), kernel, pair(1, 3), pair(0, 3), pair(1, 2), groups, tuple(sorted(taps))),
        batch=draw(st.integers(0, 3)),
        inputs=draw(st.sampled_from((1, 2, 5, 6))),
        outputs=draw(st.sampled_from((1, 2, 5, 6))),
        bias=draw(st.booleans()),
        contiguous=draw(st.booleans()),
        workspace=draw(st.sampled_from((1, 60, 300, convolution.WORKSPACE))),
        threads=draw(st.sampled_from((1, 100, 1000))),
    )


def arrays_of(case, seed=0):
    """Return x, weight, y, and biases for y and x."""
    shape, rng = case.geometry, np.random.default_rng(seed)
    inputs, outputs = case.inputs * shape.groups, case.outputs * shape.groups
    shapes = (
        (case.batch, *shape.size, inputs),
        (*shape.kernel, case.inputs, outputs),
        (case.batch, *shape.out_size, outputs),
        (outputs,),
        (inputs,),
    )
    return [rng.integers(-9, 10, shape).astype("float32") for shape in shapes]


def moved(xp, array, case):
    if case.contiguous:
        return xp.asarray(array)
    if array.ndim == 1:
        return xp.asarray(np.repeat(array, 2))[::2]
    return xp.asarray(np.ascontiguousarray(array.transpose(3, 1, 2, 0))).transpose(3, 1, 2, 0)


def on_cpu(array):
    return array if isinstance(array, np.ndarray) else array.get()


def calls(case, arrays):
    """Yield each function's name and arguments."""
    x, weight, y, bias, input_bias = arrays
    yield "convolve", (x, weight, bias if case.bias else None)
    yield "convolve_transposed", (y, weight, input_bias if case.bias else None)
    yield "convolve_weight", (x, y)


def follows_the_reference(xp, case):
    arrays = arrays_of(case)
    handed = [moved(xp, array, case) for array in arrays]
    changed = {"WORKSPACE": case.workspace, "_ENOUGH": case.threads}
    with mock.patch.multiple(convolution, **changed):
        for (name, exact), (_, arguments) in zip(calls(case, arrays), calls(case, handed), strict=True):
            expected = getattr(reference, name)(*exact, geometry=case.geometry)
            found = getattr(convolution, name)(*arguments, geometry=case.geometry)
            assert (type(found), found.dtype) == (xp.ndarray, np.float32)
            np.testing.assert_array_equal(on_cpu(found), expected, err_msg=f"{name} of {case}")
    for array, array_handed in zip(arrays, handed, strict=True):
        np.testing.assert_array_equal(on_cpu(array_handed), array)  # only read


def convolution_follows_the_reference(xp, name):
    follows_the_reference(xp, CASES[name])


def any_convolution_follows_the_reference(xp):
    @settings(
        max_examples=EXAMPLES["simulated" if cuda._SIMULATED else "gpu"],
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def check(case):
        follows_the_reference(xp, case)

    check()


@contextmanager
def launches():
    """Record the kernels that are launched, and how many threads of each have work."""
    recorded, queue = [], cuda._Kernel.queue

    def recording(kernel, threads, vectors, *settings):
        recorded.append((kernel.body.__name__, threads))
        queue(kernel, threads, vectors, *settings)

    with mock.patch.object(cuda._Kernel, "queue", recording):
        yield recorded


def launched(xp, case):
    handed = [moved(xp, array, case) for array in arrays_of(case)]
    found = []
    for name, arguments in calls(case, handed):
        with launches() as recorded:
            getattr(convolution, name)(*arguments, geometry=case.geometry)
        found.append(recorded)
    return found


def only_what_is_read_is_packed(xp):
    """A thread packs 4 pixels for one live tap and one channel."""
    assert launched(xp, CASES["masked"]) == [[("_pack", 2 * 16 // 4 * 3 * 5)]] * 3
    assert launched(xp, CASES["pointwise"]) == [[], [], []]
    assert launched(xp, CASES["pointwise groups"]) == [[], [], []]
    assert launched(xp, CASES["no taps"]) == [[], [], []]


def the_smaller_image_is_packed_for_the_gradient_of_a_weight(xp):
    assert launched(xp, Case(SAME, inputs=5, outputs=7))[2] == [("_pack", 40 // 4 * 9 * 5)]
    assert launched(xp, Case(SAME, inputs=7, outputs=5))[2] == [("_pack", 40 // 4 * 9 * 5)]


def narrow_groups_are_not_packed(xp):
    forward, backward, weight = launched(xp, CASES["depthwise"])
    assert forward == backward == [("_direct", 2 * 16 * 5)]
    assert weight == [("_direct_weight_gradient", 8 * 9 * 5)]
    assert launched(xp, CASES["few outputs"])[0] == [("_direct", 2 * 6)]


def a_nan_reaches_those_that_see_it_only(xp):
    for name in ("dense", "depthwise"):
        case = CASES[name]
        x, weight, *_ = arrays_of(case)
        x[1, 0, 0, 0] = np.nan
        found = on_cpu(convolution.convolve(xp.asarray(x), xp.asarray(weight), None, geometry=case.geometry))
        expected = reference.convolve(x, weight, None, geometry=case.geometry)
        assert 0 < np.isnan(expected).sum() < expected.size / 2
        np.testing.assert_array_equal(found, expected)


def arrays_of_other_sizes_are_refused(xp):
    case = CASES["dense"]
    x, weight, y, bias, input_bias = (xp.asarray(array) for array in arrays_of(case))
    shape = case.geometry
    for function, arguments, problem in (
        (convolution.convolve, (x[:, 1:], weight, bias), r"convolve: x is float32 of shape \(2, 3, 5, 2\); expected"),
        (convolution.convolve, (x, weight[:2], bias), r"weight is .*; expected float32 of shape \(3, 3, 2, 5\)"),
        (convolution.convolve, (x, weight, input_bias), r"bias is .*; expected float32 of shape \(5,\)"),
        (convolution.convolve, (x.astype("float64"), weight, bias), "x is float64"),
        (convolution.convolve_transposed, (y[..., 1:], weight, None), "convolve_transposed: y is"),
        (convolution.convolve_transposed, (y, weight, bias), r"bias is .*; expected float32 of shape \(2,\)"),
        (
            convolution.convolve_weight,
            (x, y[1:]),
            r"convolve_weight: y is .*; expected float32 of shape \(2, 4, 5, 5\)",
        ),
        (convolution.convolve_weight, (x[:, :, 1:], y), "convolve_weight: x is"),
    ):
        with pytest.raises(ValueError, match=problem):
            function(*arguments, geometry=shape)


def later_calls_wait_for_nothing():
    """On the double of CuPy, which counts what crosses between host and device."""
    from doubles.strict_cupy import counting, cupy

    for name in ("stride", "depthwise", "groups", "masked"):
        launched(cupy, CASES[name])
        passed = [cupy.asarray(array) for array in arrays_of(CASES[name])]
        with counting() as transfers:
            for function, arguments in calls(CASES[name], passed):
                getattr(convolution, function)(*arguments, geometry=CASES[name].geometry)
        assert (transfers.to_host, transfers.to_device) == ([], [])
