"""Devices, and the array module that serves an array.

The array decides: a NumPy array is computed on by NumPy (device "cpu"), a CuPy array by CuPy (device "gpu"). An operation asks
`array_module` once and never branches on the device. Nothing moves between devices unless `to_device` is called.

CuPy is imported when a GPU is first asked for. It imports without a driver, so `cupy.is_available()` is the test of a usable GPU.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A NumPy or a CuPy array; CuPy is optional, so its type cannot be named here. The annotation around it gives dtype and shape, as in
`Float[Array, "N H W C"]`; docs/conventions.md says how to read it."""

DEVICES = ("cpu", "gpu")


def array_module(*arguments: Any) -> ModuleType:
    """Return the module (`numpy` or `cupy`) of the first array among the arguments.

    Args:
        *arguments: arrays and Python scalars; scalars belong to every device.

    Returns:
        `numpy`, unless the first array is CuPy's.

    Example:
        >>> array_module(2.0, np.zeros(3)).__name__
        'numpy'
    """
    for argument in arguments:
        if type(argument) is np.ndarray:
            return np
        if device_of(argument) == "gpu":
            return sys.modules["cupy"]
    return np


def device_of(array: Any) -> str | None:
    """Return "cpu" or "gpu" for an array, and None for anything else, such as a Python scalar.

    Example:
        >>> device_of(np.zeros(3)), device_of(1.0)
        ('cpu', None)
    """
    if isinstance(array, np.ndarray | np.generic):
        return "cpu"
    if type(array).__module__.partition(".")[0] == "cupy":
        return "gpu"
    return None


def module_of(device: str) -> ModuleType:
    """Return the array module of a device, after checking that the device is there.

    Args:
        device: "cpu" or "gpu".

    Raises:
        ValueError: there is no device of that name.
        RuntimeError: "gpu" was asked for and CuPy, a driver or a GPU is missing; the message says which.

    Example:
        >>> module_of("cpu").__name__
        'numpy'
    """
    if device == "cpu":
        return np
    if device != "gpu":
        raise ValueError(f"device {device!r} is unknown; the devices are 'cpu' and 'gpu'")
    if importlib.util.find_spec("cupy") is None:
        raise RuntimeError(
            "device 'gpu' needs CuPy, which is not installed: pip install 'minigen[gpu]' for CUDA 13, "
            "or 'minigen[gpu12]' for CUDA 12; device 'cpu' works without it"
        )
    cupy = importlib.import_module("cupy")
    if not cupy.is_available():
        raise RuntimeError(
            "device 'gpu': CuPy is installed but finds no usable GPU (no NVIDIA device, or no driver); use device 'cpu'"
        )
    return cupy


def to_device(array: Array, device: str) -> Array:
    """Return the array on `device`: itself if it is there already, otherwise a copy.

    Args:
        array: a NumPy or CuPy array.
        device: "cpu" or "gpu".

    Example:
        >>> x = np.ones(2)
        >>> to_device(x, "cpu") is x
        True
    """
    source = device_of(array)
    if source == device:
        return array
    target = module_of(device)
    return target.asarray(array) if device == "gpu" else array_module(array).asnumpy(array)
