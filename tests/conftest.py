"""Options, marks and settings of the whole suite."""

import warnings

import pytest
from hypothesis import settings

from minigen.backend import module_of

# The same examples in every run; what a failure prints can be repeated.
settings.register_profile("minigen", derandomize=True, deadline=None, max_examples=40, database=None)
settings.load_profile("minigen")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")
    parser.addoption("--device", default="cpu", choices=("cpu", "gpu"), help="where tests that take `device` compute")


def missing_gpu() -> str:
    """Say why there is no GPU to test on; empty if there is one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # CuPy warns when it finds CUDA in parts
            module_of("gpu")
    except RuntimeError as error:
        return str(error)
    return ""


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("device") == "gpu" and (reason := missing_gpu()):
        raise pytest.UsageError(f"--device gpu: {reason}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    no_gpu = missing_gpu() if any("gpu" in item.keywords for item in items) else ""
    for item in items:
        if "slow" in item.keywords and not config.getoption("slow"):
            item.add_marker(pytest.mark.skip(reason="slow; pass --slow to run it"))
        if "gpu" in item.keywords and no_gpu:
            item.add_marker(pytest.mark.skip(reason=no_gpu))


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    return request.config.getoption("device")
