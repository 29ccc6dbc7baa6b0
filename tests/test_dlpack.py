"""Memory shared with other libraries: with NumPy, and with CuPy where there is a GPU. PyTorch's turn is in tests/parity/test_dlpack.py."""

import gc
import importlib.util
import sys
import weakref

import numpy as np
import pytest
from doubles import strict_cupy
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen.engine import Tensor

DTYPES = ["bool", "uint8", "int8", "int32", "int64", "float16", "float32", "float64"]
SHAPES = [(), (3,), (2, 3), (0, 3), (2, 1, 4)]


def values(shape, dtype):
    return np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2).astype(dtype)


class Producer:
    """What another library hands over: an array that is said to be on a certain device."""

    def __init__(self, array, kind):
        self.array, self.kind = array, kind

    def __dlpack__(self, **wishes):
        return self.array.__dlpack__(**wishes)

    def __dlpack_device__(self):
        return self.kind, 0


# ------------------------------------------------------------------------------------------------------ both ways


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_ways_are_without_a_copy(shape, dtype):
    ours = Tensor(values(shape, dtype))
    theirs = np.from_dlpack(ours)
    back = mg.from_dlpack(theirs)
    for array in (theirs, back.data):
        assert type(array) is np.ndarray
        assert (array.dtype, array.shape) == (np.dtype(dtype), shape)
        assert array.ctypes.data == ours.data.ctypes.data
        np.testing.assert_array_equal(array, values(shape, dtype))
    assert back.device == "cpu"
    assert not back.requires_grad


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5)), max_size=3), st.randoms(use_true_random=False))
def test_strides_are_kept(steps_and_lengths, shuffler):
    whole = np.random.default_rng(0).random([step * length for step, length in steps_and_lengths])
    axes = list(range(whole.ndim))
    shuffler.shuffle(axes)
    view = np.asarray(whole[tuple(slice(None, None, step) for step, _ in steps_and_lengths)]).transpose(axes)
    for array in (np.from_dlpack(Tensor(view)), mg.from_dlpack(view).data):
        np.testing.assert_array_equal(array, view)
        assert array.ctypes.data == view.ctypes.data
        for length, stride, expected in zip(array.shape, array.strides, view.strides, strict=True):
            assert stride == expected or length == 1


def test_each_side_sees_what_the_other_writes():
    ours = mg.tensor([1.0, 2.0, 3.0])
    theirs = np.from_dlpack(ours)
    theirs[0] = 10.0
    ours.assign(ours.data * 2)
    np.testing.assert_array_equal(theirs, [20.0, 4.0, 6.0])

    theirs = np.zeros(2)
    ours = mg.from_dlpack(theirs)
    theirs[1] = 5.0
    ours.data[0] = 7.0
    np.testing.assert_array_equal(theirs, [7.0, 5.0])
    np.testing.assert_array_equal(ours.data, [7.0, 5.0])


def test_the_memory_lives_as_long_as_its_last_user():
    array = np.arange(3.0)
    alive = weakref.ref(array)
    theirs = np.from_dlpack(Tensor(array))
    del array
    gc.collect()
    assert alive() is not None
    back = mg.from_dlpack(theirs)
    del theirs
    gc.collect()
    np.testing.assert_array_equal(back.data, [0.0, 1.0, 2.0])
    del back
    gc.collect()
    assert alive() is None


def test_writes_over_there_are_not_counted_until_one_says_so():
    theirs = np.array([3.0])
    shared = mg.from_dlpack(theirs)
    w = mg.tensor([2.0], dtype="float64", requires_grad=True)
    product = w * shared
    theirs[0] = 100.0
    assert shared.version == 0
    product.backward(np.ones(1), retain_graph=True)
    np.testing.assert_array_equal(w.grad.data, [100.0])
    shared.mark_written()
    with pytest.raises(RuntimeError, match="since been overwritten"):
        product.backward(np.ones(1))


# ------------------------------------------------------------------------------------------------------ handing over


@pytest.mark.parametrize("computed", [False, True])
def test_a_tensor_that_requires_grad_is_not_handed_over(computed):
    x = mg.tensor([1.0], requires_grad=True)
    x = x * 2 if computed else x
    with pytest.raises(BufferError, match=r"requires grad; call \.detach\(\) first"):
        np.from_dlpack(x)
    with pytest.raises(BufferError, match=r"requires grad; call \.detach\(\) first"):
        mg.from_dlpack(x)
    assert np.from_dlpack(x.detach()).ctypes.data == x.data.ctypes.data


def test_a_reversed_axis_is_not_handed_over_but_its_copy_is():
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]])[:, ::-1]
    with pytest.raises(BufferError, match=r"runs backwards, the strides are \(8, -4\); hand over a copy, mg\.tensor"):
        np.from_dlpack(x)
    for copied in (np.from_dlpack(x, copy=True), np.from_dlpack(mg.tensor(x))):
        np.testing.assert_array_equal(copied, x.data)
        assert min(copied.strides) > 0
    one = np.arange(3.0)[:1][::-1]  # its stride is never taken
    np.testing.assert_array_equal(np.from_dlpack(Tensor(one)), [0.0])


def test_read_only_memory_stays_read_only():
    x = mg.broadcast_to(mg.tensor([1.0, 2.0]), shape=(3, 2))
    theirs = np.from_dlpack(x)
    assert theirs.strides == (0, 4)
    assert not theirs.flags.writeable
    assert not mg.from_dlpack(theirs).data.flags.writeable
    with pytest.raises(BufferError, match=r"readonly.*hand over a copy, mg\.tensor\(x\)"):
        x.__dlpack__()  # as a consumer that knows no newer DLPack asks
    assert np.from_dlpack(mg.tensor(x)).flags.writeable


def test_the_keywords_are_those_of_the_array_api():
    x = mg.tensor([1.0, 2.0])
    assert x.__dlpack_device__() == np.zeros(1).__dlpack_device__() == (1, 0)
    assert '"dltensor"' in repr(x.__dlpack__(stream=None, max_version=None, dl_device=None, copy=None))
    assert '"dltensor_versioned"' in repr(x.__dlpack__(max_version=(1, 1)))
    assert np.from_dlpack(x, device="cpu", copy=False).ctypes.data == x.data.ctypes.data
    assert not np.shares_memory(np.from_dlpack(x, copy=True), x.data)
    with pytest.raises(BufferError, match=r"^__dlpack__: unsupported device requested; hand over a copy"):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(RuntimeError, match="stream=None"):
        x.__dlpack__(stream=1)


def test_an_array_that_knows_no_newer_keywords_is_asked_without_them():
    class Older(np.ndarray):
        def __dlpack__(self, *, stream=None):
            return np.asarray(self).__dlpack__(stream=stream)

    x = Tensor(np.arange(3.0).view(Older))
    np.testing.assert_array_equal(np.from_dlpack(x), x.data)


def test_a_refusal_of_cupy_to_copy_to_the_cpu_is_a_buffer_error():
    class OnGpu(np.ndarray):
        def __dlpack__(self, *, dl_device, copy):
            raise ValueError("GPU memory cannot be exported to CPU without copy.")

    x = Tensor(np.arange(3.0).view(OnGpu))
    with pytest.raises(
        BufferError, match=r"^__dlpack__: GPU memory cannot .* without copy; hand over a copy, .*from the GPU$"
    ):
        x.__dlpack__(dl_device=(1, 0), copy=False)


# ------------------------------------------------------------------------------------------------------ taking


@pytest.mark.parametrize("x", [[1.0], 2.0, "text"])
def test_what_has_no_dlpack_is_refused_with_the_way_out(x):
    with pytest.raises(TypeError, match=rf"from_dlpack: a {type(x).__name__} has no __dlpack__; mg\.tensor copies"):
        mg.from_dlpack(x)


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match="numpy does not take this ndarray of complex128; expected real numbers"):
        mg.from_dlpack(np.ones(2, complex))


@pytest.mark.parametrize("kind", [8, 10])
def test_another_kind_of_device_is_refused(kind):
    with pytest.raises(BufferError, match=rf"the Producer is on DLPack's device {kind}; move it to the CPU"):
        mg.from_dlpack(Producer(np.ones(2), kind))


def test_memory_that_is_pinned_for_cuda_is_the_cpus():
    array = np.ones(2)
    assert mg.from_dlpack(Producer(array, 3)).data.ctypes.data == array.ctypes.data


@pytest.mark.parametrize("kind", [2, 13])
def test_memory_of_a_cuda_gpu_is_cupys(kind, monkeypatch):
    taken = []

    def from_dlpack(x):
        taken.append(x)
        return strict_cupy.cupy.asarray(x.array)

    monkeypatch.setattr(strict_cupy.cupy, "from_dlpack", from_dlpack, raising=False)
    monkeypatch.setitem(sys.modules, "cupy", strict_cupy.cupy)
    producer = Producer(np.ones(2), kind)
    assert mg.from_dlpack(producer).device == "gpu"
    assert taken == [producer]


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_memory_of_a_gpu_needs_cupy():
    with pytest.raises(RuntimeError, match=r"CuPy, which is not installed: pip install"):
        mg.from_dlpack(Producer(np.ones(2), 2))


# ------------------------------------------------------------------------------------------------------ on a GPU


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_ways_are_without_a_copy_on_the_gpu(shape, dtype):
    import cupy

    ours = Tensor(cupy.asarray(values(shape, dtype)))
    theirs = cupy.from_dlpack(ours)
    back = mg.from_dlpack(theirs)
    for array in (theirs, back.data):
        assert (array.dtype, array.shape) == (np.dtype(dtype), shape)
        assert array.data.ptr == ours.data.data.ptr
        np.testing.assert_array_equal(array.get(), values(shape, dtype))
    assert back.device == "gpu"


@pytest.mark.gpu
def test_a_transposed_view_and_writes_are_seen_on_the_gpu():
    import cupy

    ours = mg.tensor(values((2, 3), "float32"), device="gpu").T
    theirs = cupy.from_dlpack(ours)
    assert theirs.strides == ours.data.strides
    theirs[2, 1] = 7.0
    assert ours.data.get()[2, 1] == 7.0


@pytest.mark.gpu
def test_a_stream_and_a_device_are_handed_on_to_cupy():
    import cupy

    x = mg.tensor([1.0, 2.0], device="gpu")
    assert x.__dlpack_device__()[0] == 2
    with cupy.cuda.Stream(non_blocking=True) as stream:
        theirs = cupy.from_dlpack(x)
        np.testing.assert_array_equal(theirs.get(stream=stream), [1.0, 2.0])
    np.testing.assert_array_equal(np.from_dlpack(x, device="cpu"), [1.0, 2.0])
    with pytest.raises(BufferError, match="without copy; hand over a copy"):
        np.from_dlpack(x, device="cpu", copy=False)
