"""The array decides which module computes; nothing moves unless it is told to; a missing GPU says what is missing."""

import importlib.util
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import minigen as mg
from minigen.backend import array_module, device_of, module_of, to_device


class ArrayOnGpu:
    """What is asked of a CuPy array before any arithmetic, for machines without CuPy."""

    shape, ndim, size, dtype = (2,), 1, 2, np.dtype("float32")


ArrayOnGpu.__module__ = "cupy"


@pytest.fixture
def fake_cupy(monkeypatch):
    """A module that stands in for CuPy, with an array of its own."""
    module = ModuleType("cupy")
    module.is_available = lambda: True
    module.asarray = lambda array: ArrayOnGpu()
    module.asnumpy = lambda array: np.zeros(2, "float32")
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(name=name))
    return module


def test_numpy_serves_numpy_arrays_and_numbers():
    for arguments in ((np.zeros(2),), (1.0, np.zeros(2)), (np.float32(1.0),), (1.0, 2), (None,), ()):
        assert array_module(*arguments) is np


def test_device_of():
    assert [device_of(a) for a in (np.zeros(2), np.float64(1.0), 1.0, True, None, [1.0])] == [
        "cpu",
        "cpu",
        None,
        None,
        None,
        None,
    ]


def test_the_first_array_decides(fake_cupy):
    assert device_of(ArrayOnGpu()) == "gpu"
    assert array_module(1.0, ArrayOnGpu()) is fake_cupy
    assert array_module(np.zeros(2), ArrayOnGpu()) is np


def test_mixed_devices_are_listed_with_the_way_out():
    with pytest.raises(
        ValueError,
        match=r"multiply: the arguments are on different devices \(a is on cpu, b is on gpu\); move one with \.to",
    ):
        mg.multiply(np.ones(2), ArrayOnGpu())
    with pytest.raises(ValueError, match=r"join: .*arrays\[0\] is on cpu, arrays\[1\] is on gpu"):
        mg.concatenate([np.ones(2), ArrayOnGpu()])


def test_a_cotangent_on_another_device_is_refused():
    x = mg.Tensor(np.ones(2), requires_grad=True)
    with pytest.raises(ValueError, match="grad: the cotangent is on gpu, the output on cpu"):
        mg.grad(x * 2.0, x, ArrayOnGpu())


def test_unknown_devices():
    assert module_of("cpu") is np
    for name in ("cuda", "GPU", ""):
        with pytest.raises(ValueError, match=f"device '{name}' is unknown; the devices are 'cpu' and 'gpu'"):
            module_of(name)


def test_without_cupy_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for call in (
        lambda: module_of("gpu"),
        lambda: to_device(np.ones(2), "gpu"),
        lambda: mg.zeros(2, device="gpu"),
        lambda: mg.ones(2).to("gpu"),
    ):
        with pytest.raises(RuntimeError, match=r"device 'gpu' needs CuPy.*pip install 'minigen\[gpu\]'"):
            call()


def test_without_a_gpu_the_message_says_so(fake_cupy):
    fake_cupy.is_available = lambda: False
    with pytest.raises(RuntimeError, match="device 'gpu': CuPy is installed but finds no usable GPU"):
        module_of("gpu")


def test_to_device_copies_only_between_devices(fake_cupy):
    x = np.ones(2)
    assert to_device(x, "cpu") is x
    there = to_device(x, "gpu")
    assert type(there) is ArrayOnGpu
    assert to_device(there, "gpu") is there
    assert type(to_device(there, "cpu")) is np.ndarray


def test_importing_minigen_imports_nothing_slow():
    command = "import sys, minigen; print(*{'numba', 'cupy', 'matplotlib', 'scipy', 'torch'} & {*sys.modules})"
    result = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


# ------------------------------------------------------------------------------------------- with a GPU, or its double


def test_there_and_back_again(gpu_or_double):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x.to(gpu_or_double)
    assert (y.device, array_module(y.data).__name__) == ("gpu", "cupy")
    np.testing.assert_array_equal(y.detach().to("cpu").numpy(), [1.0, 2.0])
    mg.sum(y * y).backward()
    assert x.grad.device == "cpu"
    np.testing.assert_array_equal(x.grad.data, [2.0, 4.0])


def test_mixed_devices_are_refused_whichever_comes_first(gpu_or_double):
    x, y = mg.ones(2), mg.ones(2, device=gpu_or_double)
    for call in (
        lambda: x + y,
        lambda: y + x,
        lambda: x.data + y,
        lambda: y + x.data,
        lambda: mg.concatenate([x, y]),
        lambda: x @ y,
        lambda: y @ x,
        lambda: mg.where(x > 0, y, 0.0),
        lambda: mg.where(y > 0, x, 0.0),
        lambda: mg.relu(x) * mg.relu(y),
    ):
        with pytest.raises(ValueError, match="the arguments are on different devices"):
            call()
    with pytest.raises(RuntimeError, match=r"call \.to\('cpu'\) first"):
        y.numpy()
    with pytest.raises(ValueError, match="the cotangent is on cpu, the output on gpu"):
        mg.tensor([1.0, 2.0], device=gpu_or_double, requires_grad=True).backward(np.ones(2))


def test_making_tensors_on_a_device(device):
    made = {
        "tensor of lists": (mg.tensor([1.0, 2.5], device=device), [1.0, 2.5]),
        "tensor of an array": (mg.tensor(np.array([1, 2]), device=device), [1, 2]),
        "tensor of a tensor": (mg.tensor(mg.ones(2, device=device)), [1.0, 1.0]),
        "zeros": (mg.zeros(2, device=device), [0.0, 0.0]),
        "ones": (mg.ones((1, 2), device=device), [[1.0, 1.0]]),
        "full": (mg.full(2, 7.0, device=device), [7.0, 7.0]),
        "arange": (mg.arange(1, 4, device=device), [1, 2, 3]),
        "linspace": (mg.linspace(0.0, 1.0, 3, device=device), [0.0, 0.5, 1.0]),
    }
    for name, (x, expected) in made.items():
        assert x.device == device, name
        assert x.dtype == ("int64" if isinstance(np.ravel(expected)[0], np.integer) else "float32"), name
        np.testing.assert_array_equal(x.to("cpu").numpy(), expected, err_msg=name)
