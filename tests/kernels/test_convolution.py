"""Convolution: its geometry by enumeration, the compiled kernels against the reference, and that they disturb nobody."""

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen import kernels
from minigen.kernels import memory, threads
from minigen.kernels.convolution import cpu, reference, winograd
from minigen.kernels.convolution.geometry import Geometry
from minigen.kernels.tile import LANES

HERE = {"PYTHONPATH": ":".join([str(Path(__file__).parent), *sys.path])}
NAMES = ("convolve", "convolve_transposed", "convolve_weight")
EPSILON = 2.0**-24  # what rounding a float32 may change, relatively


def geometry(size, kernel, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, taps=None, more=(0, 0)):
    """With `padding` zeros before and `padding + more` behind."""
    out = tuple(
        (n + 2 * t + m - d * (k - 1) - 1) // s + 1
        for n, t, m, d, k, s in zip(size, padding, more, dilation, kernel, stride, strict=True)
    )
    whole = tuple(itertools.product(range(kernel[0]), range(kernel[1])))
    return Geometry(size, out, kernel, stride, padding, dilation, groups, whole if taps is None else taps)


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def geometries(draw):
    kernel = draw(pairs(1, 4))
    whole = list(itertools.product(range(kernel[0]), range(kernel[1])))
    taps = draw(st.none() | st.lists(st.sampled_from(whole), unique=True).map(sorted).map(tuple))
    settings = {
        "stride": draw(pairs(1, 3)),
        "dilation": draw(pairs(1, 3)),
        "padding": draw(pairs(0, 4)),
        "more": draw(pairs(0, 2)),
    }
    least = [
        max(1, d * (k - 1) + 1 - 2 * t)
        for d, k, t in zip(settings["dilation"], kernel, settings["padding"], strict=True)
    ]
    size = tuple(n + draw(st.integers(0, 7)) for n in least)
    return geometry(size, kernel, taps=taps, **settings)


@st.composite
def calls(draw):
    """A geometry and float32 arrays x, weight, y, and the biases of both directions; some of them are not contiguous."""
    found = draw(geometries())
    if draw(st.booleans()):
        groups, c, k = (
            draw(st.integers(1, 3)),
            draw(st.sampled_from([1, 2, 3, 5, 16, 20])),
            draw(st.sampled_from([1, 3, 5, 16, 33, 64, 70])),
        )
    else:
        groups, c, k = draw(st.sampled_from([2, 3, 16, 17, 64, 70])), 1, draw(st.integers(1, 2))  # depthwise
    found = Geometry(
        *[getattr(found, name) for name in ("size", "out_size", "kernel", "stride", "padding", "dilation")],
        groups,
        found.taps,
    )
    n = draw(st.sampled_from([0, 1, 2, 5, 9]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def normal(*shape):
        form = draw(st.sampled_from(["contiguous", "reversed", "transposed", "a part"]))
        if form == "transposed":
            return rng.standard_normal(shape[::-1], dtype=np.float32).T
        if form == "a part":
            return rng.standard_normal((*shape[:-1], 2 * shape[-1] + 1), dtype=np.float32)[..., 1::2]
        array = rng.standard_normal(shape, dtype=np.float32)
        return array[..., ::-1] if form == "reversed" else array

    x, y = normal(n, *found.size, c * groups), normal(n, *found.out_size, k * groups)
    return found, x, normal(*found.kernel, c, k * groups), y, normal(k * groups), normal(c * groups)


def arguments(name, call):
    _, x, weight, y, bias, bias_back = call
    return {"convolve": (x, weight, bias), "convolve_transposed": (y, weight, bias_back), "convolve_weight": (x, y)}[
        name
    ]


def bounds(name, call):
    """The outcome in float64, and how far float32 may be from it: each of n operations rounds once (Higham 2002, section 3.1)."""
    found, x, _, y, *_ = call
    given = arguments(name, call)
    exact, magnitude = (
        getattr(reference, name)(*(f(a.astype(np.float64)) for a in given), geometry=found)
        for f in (np.asarray, np.abs)
    )
    terms = {"convolve": x.shape[3] * len(found.taps), "convolve_transposed": y.shape[3] * len(found.taps)}
    n = terms.get(name, len(x) * found.out_size[0] * found.out_size[1]) + 2
    if is_transformed(name, call):  # by sums that are up to some 16 times larger, and of a whole tile
        magnitude = 16 * magnitude.max()
    return exact, n * EPSILON * magnitude + 1e-30


def is_transformed(name, call):
    found, x, weight, *_ = call
    back = name == "convolve_transposed"
    channels = weight.shape[:1:-1] if back else weight.shape[2:]
    sweeps = found.phases if back else (found.forward,)
    serves = winograd.serves_weight_gradient if name == "convolve_weight" else winograd.serves
    return found.groups == 1 and any(serves(sweep, len(x), *channels) for sweep in sweeps)


# ------------------------------------------------------------------------------------------- geometry


@given(found=geometries())
def test_sweeps_bring_together_exactly_the_pixels_that_the_definition_does(found):
    wanted = {
        (h, w, p, q, i * found.kernel[1] + j)
        for i, j in found.taps
        for p, q in itertools.product(*map(range, found.out_size))
        if 0 <= (h := found.stride[0] * p + found.dilation[0] * i - found.padding[0]) < found.size[0]
        and 0 <= (w := found.stride[1] * q + found.dilation[1] * j - found.padding[1]) < found.size[1]
    }
    forward = list(met(found.forward, found.size))
    assert sorted(forward) == sorted((h, w, p, q, t) for h, w, p, q, t in wanted)
    back = [(h, w, p, q, t) for sweep in found.phases for p, q, h, w, t in met(sweep, found.out_size)]
    assert sorted(back) == sorted(wanted)


def met(sweep, source):
    """(row and column of the source, row and column of the output, tap) of every product."""
    for a, b in itertools.product(*map(range, sweep.extent)):
        for tap, (down, right) in zip(sweep.taps, sweep.offsets, strict=True):
            row, column = sweep.step[0] * a + down, sweep.step[1] * b + right
            if 0 <= row < source[0] and 0 <= column < source[1]:
                yield row, column, sweep.start[0] + sweep.stride[0] * a, sweep.start[1] + sweep.stride[1] * b, tap


@given(found=geometries())
def test_the_phases_write_every_pixel_once(found):
    written = [
        (sweep.start[0] + sweep.stride[0] * a, sweep.start[1] + sweep.stride[1] * b)
        for sweep in found.phases
        for a, b in itertools.product(*map(range, sweep.extent))
    ]
    assert sorted(written) == list(itertools.product(*map(range, found.size)))


# ------------------------------------------------------------------------------------------- the compiled kernels


@settings(max_examples=150)
@given(call=calls(), name=st.sampled_from(NAMES), poison=st.booleans())
def test_the_compiled_kernels_equal_the_reference(call, name, poison):
    if poison:  # what a workspace held before must not matter
        for held in memory._workspaces.values():
            held.fill(np.nan)
    obtained = getattr(cpu, name)(*arguments(name, call), geometry=call[0])
    exact, bound = bounds(name, call)
    assert obtained.dtype == np.float32
    assert obtained.shape == exact.shape
    assert (np.abs(obtained - exact) <= bound).all()


def test_sums_that_nobody_looks_at_do_not_overflow(monkeypatch):
    # 24 outputs leave 8 of 32 lanes. What a workspace held before would make the sum of one thread 2e38 there, that of two infinite.
    n, size = 64, (14, 14)
    x, y = np.ones((n, *size, 16), np.float32), np.ones((n, *size, 24), np.float32)
    monkeypatch.setattr(cpu, "workspace", lambda name, count: np.full(count, 2e38 / (n * 14 * 14 / 2), np.float32))
    before = threads.get_threads()
    try:
        threads.set_threads(2)
        with np.errstate(over="raise"):
            found = cpu.convolve_weight(x, y, geometry=geometry(size, (1, 1)))
    finally:
        threads.set_threads(before)
    np.testing.assert_array_equal(found, n * 14 * 14)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("size", "c", "k", "n"),
    [
        ((40, 300), 64, 8, 1),
        ((1, 9000), 20, 20, 2),
        ((3, 3), 130, 70, 40),
        ((8, 8), 3, 1, 30),
        ((5, 5), 70, 3, 4),
        ((5, 5), 3, 70, 4),
    ],
)
def test_images_of_several_bands_and_bands_of_several_images(name, size, c, k, n):
    found = geometry(size, (3, 3), padding=(1, 1), taps=((0, 0), (0, 1), (1, 0), (2, 2)))
    rng = np.random.default_rng(0)
    shapes = ((n, *size, c), (3, 3, c, k), (n, *size, k), (k,), (c,))
    call = (found, *(rng.standard_normal(shape, dtype=np.float32) for shape in shapes))
    exact, bound = bounds(name, call)
    assert (np.abs(getattr(cpu, name)(*arguments(name, call), geometry=found) - exact) <= bound).all()


@pytest.mark.parametrize("groups", [1, 5])
@pytest.mark.parametrize("k", [1, 5, 20])
@pytest.mark.parametrize("width", [3, 1])
def test_what_is_not_finite_stays_where_it_is_seen(width, k, groups):
    found = geometry((6, 6), (width, width), padding=(width // 2, width // 2), groups=groups)
    x = np.ones((2, 6, 6, 5), np.float32)
    x[0, 2, 3] = np.nan
    outputs = k if groups == 1 else 5 * k
    y = np.ones((2, 6, 6, outputs), np.float32)
    y[0, 2, 3] = np.inf
    weight = np.ones((width, width, 5 // groups, outputs), np.float32)
    seen = np.zeros((2, 6, 6), bool)
    seen[0, 2 - width // 2 : 3 + width // 2, 3 - width // 2 : 4 + width // 2] = True
    for out in (
        cpu.convolve(x, weight, None, geometry=found),
        cpu.convolve_transposed(y, weight, None, geometry=found),
    ):
        np.testing.assert_array_equal(np.isfinite(out).all(axis=3), ~seen)
        np.testing.assert_array_equal(np.isfinite(out).any(axis=3), ~seen)


def some_work():
    found = geometry((28, 28), (3, 3), padding=(1, 1))
    rng = np.random.default_rng(0)
    shapes = ((16, 28, 28, 32), (3, 3, 32, 32), (16, 28, 28, 32), (32,), (32,))
    return (found, *(rng.standard_normal(shape, dtype=np.float32) for shape in shapes))


def test_the_number_of_threads_changes_no_sum_over_taps():
    call, before = some_work(), threads.get_threads()
    outcomes = []
    try:
        for count in (1, 2, 3):
            threads.set_threads(count)
            outcomes.append([getattr(cpu, name)(*arguments(name, call), geometry=call[0]) for name in NAMES])
    finally:
        threads.set_threads(before)
    _, bound = bounds("convolve_weight", call)  # each thread has a sum of its own
    for forward, back, weight in outcomes[1:]:
        np.testing.assert_array_equal(forward, outcomes[0][0])
        np.testing.assert_array_equal(back, outcomes[0][1])
        assert (np.abs(weight - outcomes[0][2]) <= bound).all()


def test_several_python_threads_at_a_time():
    call = some_work()
    expected = {name: getattr(cpu, name)(*arguments(name, call), geometry=call[0]) for name in NAMES}
    with ThreadPoolExecutor(4) as pool:
        for name, out in pool.map(
            lambda name: (name, getattr(cpu, name)(*arguments(name, call), geometry=call[0])), NAMES * 8
        ):
            np.testing.assert_array_equal(out, expected[name])


@pytest.mark.slow
def test_in_a_forked_child_and_with_blas_at_work_and_without_a_word():
    code = """
import os
import numpy as np
from test_convolution import NAMES, arguments, some_work
from minigen.kernels.convolution import cpu
call = some_work()
matrix = np.ones((600, 600), np.float32)
def run():
    matrix @ matrix
    return [getattr(cpu, name)(*arguments(name, call), geometry=call[0]) for name in NAMES]
expected = run()
child = os.fork()
for out, wanted in zip(run(), expected):
    assert (out == wanted).all()
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    command = [sys.executable, "-W", "error", "-c", code]
    settings = {"OMP_NUM_THREADS": "2", **HERE}  # of BLAS
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | settings)
    assert (done.returncode, done.stderr) == (0, "")


def test_workspaces_are_bounded_and_given_back():
    kernels.release_workspaces()
    for n, k in itertools.product((1, 100), (16, 24)):
        found = geometry((28, 28), (3, 3), padding=(1, 1))
        x = np.zeros((n, 28, 28, 64), np.float32)
        cpu.convolve(x, np.zeros((3, 3, 64, k), np.float32), None, geometry=found)
    held = {name: array.size for (_, name), array in memory._workspaces.items()}
    assert held["band"] <= 2**16 + 3 * 30 * 64 * LANES
    assert held["winograd pixels"] + held["winograd outputs"] <= 2**17
    kernels.release_workspaces()
    assert not memory._workspaces


def test_float64_and_the_environment_choose_the_reference(monkeypatch):
    call = some_work()
    given = [a.astype(np.float64) for a in arguments("convolve", call)]
    np.testing.assert_array_equal(
        kernels.convolve(*given, geometry=call[0]), reference.convolve(*given, geometry=call[0])
    )
    code = (
        "import sys, numpy as np, minigen as mg; mg.conv2d(np.ones((1, 3, 3, 1), 'float32'), np.ones((2, 2, 1, 1), 'float32'));"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"MINIGEN_KERNELS": "reference", "PYTHONPATH": ":".join(sys.path)}
    )


@pytest.mark.slow
def test_processors_with_smaller_vectors(tmp_path):
    code = """
import numpy as np
from minigen.kernels import tile
from minigen.kernels.convolution import cpu, winograd
tile._WIDE = 16
from test_convolution import NAMES, arguments, bounds, some_work
call = some_work()
for tiles in (1, 10**9):  # by few products, then by plain sums
    winograd._TILES = tiles
    for name in NAMES:
        exact, bound = bounds(name, call)
        assert (np.abs(getattr(cpu, name)(*arguments(name, call), geometry=call[0]) - exact) <= bound).all()
for loop in (cpu._sweep, cpu._weight_gradient, winograd._sweep, winograd._weight_gradient):
    (asm,) = loop.inspect_asm().values()
    assert "zmm" not in asm and "ymm" in asm
"""
    environment = {
        "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+avx,+sse4.2,+bmi,+bmi2", "NUMBA_CACHE_DIR": str(tmp_path),
    }  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True, env=environment | HERE)
