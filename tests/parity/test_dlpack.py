"""Memory shared with PyTorch, without a copy."""

import numpy as np
import pytest

import minigen as mg
from minigen.engine import Tensor

torch = pytest.importorskip("torch", reason="PyTorch is not installed; these tests share memory with it")

DTYPES = ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"]
SHAPES = [(), (3,), (2, 3), (0, 3), (2, 1, 4)]


def values(shape, dtype):
    return np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_ours_becomes_theirs_without_a_copy(shape, dtype):
    ours = Tensor(values(shape, dtype))
    theirs = torch.from_dlpack(ours)
    assert theirs.dtype is getattr(torch, dtype)
    assert tuple(theirs.shape) == shape
    assert theirs.data_ptr() == (ours.data.ctypes.data if ours.size else 0)
    np.testing.assert_array_equal(theirs.numpy(), ours.data)
    theirs.fill_(1)
    assert (ours.data == 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_theirs_becomes_ours_without_a_copy(shape, dtype):
    theirs = torch.tensor(values(shape, dtype).tolist(), dtype=getattr(torch, dtype)).reshape(shape)
    ours = mg.from_dlpack(theirs)
    assert (ours.dtype, ours.shape, ours.device) == (np.dtype(dtype), shape, "cpu")
    assert not ours.requires_grad
    if ours.size:  # PyTorch's empty tensors are nowhere
        assert ours.data.ctypes.data == theirs.data_ptr()
    np.testing.assert_array_equal(ours.data, theirs.numpy())
    ours.data[...] = 1
    assert (theirs == 1).all()
    theirs.fill_(0)
    assert (ours.data == 0).all()


def test_views_keep_their_strides():
    whole = mg.tensor(np.arange(24.0).reshape(2, 3, 4))
    for view in (whole.T, whole[:, ::2, 1:], mg.broadcast_to(whole[0, 0], shape=(5, 4))):
        theirs = torch.from_dlpack(view)
        assert [8 * stride for stride in theirs.stride()] == list(view.data.strides)
        assert theirs.data_ptr() == view.data.ctypes.data
        np.testing.assert_array_equal(theirs.numpy(), view.data)
    whole = torch.arange(24.0).reshape(2, 3, 4)
    for view in (whole.permute(2, 0, 1), whole[:, ::2, 1:], whole[0, 0].expand(5, 4)):
        ours = mg.from_dlpack(view)
        assert list(ours.data.strides) == [4 * stride for stride in view.stride()]
        assert ours.data.ctypes.data == view.data_ptr()
        np.testing.assert_array_equal(ours.data, view.numpy())


def test_a_reversed_axis_is_refused_before_pytorch_sees_it():
    x = mg.flip(mg.arange(3), axis=0)
    with pytest.raises(BufferError, match="runs backwards"):
        torch.from_dlpack(x)
    assert torch.from_dlpack(mg.tensor(x)).tolist() == [2, 1, 0]


def test_what_requires_grad_in_either_library_is_refused():
    ours = mg.tensor([1.0], requires_grad=True)
    with pytest.raises(BufferError, match=r"requires grad; call \.detach\(\) first"):
        torch.from_dlpack(ours)
    assert torch.from_dlpack(ours.detach()).data_ptr() == ours.data.ctypes.data
    theirs = torch.ones(1, requires_grad=True)
    with pytest.raises(BufferError, match=r"require gradient, use tensor\.detach\(\)"):
        mg.from_dlpack(theirs)
    assert mg.from_dlpack(theirs.detach()).data.ctypes.data == theirs.data_ptr()


@pytest.mark.parametrize("dtype", ["bfloat16", "complex64"])
def test_numbers_that_minigen_has_no_type_for_are_refused(dtype):
    theirs = torch.ones(2, dtype=getattr(torch, dtype))
    with pytest.raises(TypeError, match=rf"^from_dlpack: numpy does not take this Tensor of torch\.{dtype}"):
        mg.from_dlpack(theirs)


def test_bfloat16_is_told_the_way_out():
    theirs = torch.ones(2, dtype=torch.bfloat16)
    with pytest.raises(TypeError, match="convert it first, for example to float32"):
        mg.from_dlpack(theirs)
    assert mg.from_dlpack(theirs.float()).dtype == "float32"


def test_a_device_that_is_neither_cpu_nor_cuda_is_refused():
    class Elsewhere:
        def __dlpack__(self, **wishes):
            raise AssertionError("nothing was to be handed over")

        def __dlpack_device__(self):
            return torch.utils.dlpack.DLDeviceType.kDLMetal, 0

    with pytest.raises(BufferError, match=r"DLPack's device .*kDLMetal.*; move it to the CPU"):
        mg.from_dlpack(Elsewhere())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this PyTorch has no CUDA")
def test_memory_of_the_gpu_is_shared_both_ways():
    ours = mg.tensor(values((2, 3), "float32"), device="gpu").T
    theirs = torch.from_dlpack(ours)
    assert theirs.data_ptr() == ours.data.data.ptr
    assert [4 * stride for stride in theirs.stride()] == list(ours.data.strides)
    back = mg.from_dlpack(theirs)
    assert back.device == "gpu"
    assert back.data.data.ptr == theirs.data_ptr()
    theirs.fill_(7)
    torch.cuda.synchronize()
    assert (back.data.get() == 7).all()
