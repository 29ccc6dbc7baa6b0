"""Options, marks and settings of the whole suite."""

import gc
import os
import signal
import sys
import warnings

# The processes of pytest -n share the cores, where threads of BLAS and PyTorch would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from doubles import strict_cupy
from hypothesis import HealthCheck, settings

from minigen.backend import module_of

# The same examples in every run; what a failure prints can be repeated. A fixture such as `device` is one for all examples of a test.
settings.register_profile(
    "minigen",
    derandomize=True,
    deadline=None,
    max_examples=40,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("minigen")

PLACES = {"cpu": ("cpu", "double"), "double": ("double",), "gpu": ("gpu",)}
"""By --device: the places where a test that takes `device` runs."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")
    parser.addoption(
        "--device",
        default="cpu",
        choices=PLACES,
        help="where tests that take `device` compute: gpu, double (a stand-in for CuPy, without a GPU), or cpu and double (the default)",
    )


def missing_gpu(config: pytest.Config) -> str:
    """Say why there is no real GPU to test on; empty if there is one."""
    if config.getoption("device") == "double":
        return "needs a real GPU, not the double of CuPy"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # CuPy warns when it finds CUDA in parts
            module_of("gpu")
    except RuntimeError as error:
        return str(error)
    return ""


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(
        config, "workerinput"
    ):  # a process of pytest -n ignores Ctrl-C, and so would what the tests start and break off
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("device") == "gpu" and (reason := missing_gpu(config)):
        raise pytest.UsageError(f"--device gpu: {reason}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    no_gpu = missing_gpu(config) if any("gpu" in item.keywords for item in items) else ""
    for item in items:
        if "slow" in item.keywords and not config.getoption("slow"):
            item.add_marker(pytest.mark.skip(reason="slow; pass --slow to run it"))
        if "gpu" in item.keywords and no_gpu:
            item.add_marker(pytest.mark.skip(reason=no_gpu))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # thousands of collected tests stay to the end; no later collection need look at them


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", PLACES[metafunc.config.getoption("device")], indirect=True)


@pytest.fixture
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The device to compute on. The test runs once for each of its places; on the double, "gpu" is the double for as long as it runs."""
    if request.param == "double":
        monkeypatch.setitem(sys.modules, "cupy", strict_cupy.cupy)
    return "cpu" if request.param == "cpu" else "gpu"


@pytest.fixture
def gpu_or_double(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The device "gpu": the real one with `--device gpu`, the double otherwise."""
    if request.config.getoption("device") != "gpu":
        monkeypatch.setitem(sys.modules, "cupy", strict_cupy.cupy)
    return "gpu"
