"""What minigen finds on this machine: versions, processor and threads, BLAS, GPU, and where compiled kernels are kept.

    python -m minigen           a report to read
    python -m minigen --json    the same facts as JSON, for a bug report

A missing package is not an error: the report says what it is for and how to install it.
"""

import argparse
import contextlib
import importlib
import inspect
import json
import os
import pkgutil
import platform
import stat
import sys
import textwrap
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import minigen
from minigen import kernels
from minigen.backend import module_of
from minigen.kernels import threads, toolkit
from minigen.training import versions

_NEEDED = "pip install minigen, which needs it"
_GPU_EXTRAS = "pip install 'minigen[gpu]' for CUDA 13, or 'minigen[gpu12]' for CUDA 12"

REMEDIES = {
    "numpy": _NEEDED,
    "numba": _NEEDED,
    "scipy": _NEEDED,
    "matplotlib": _NEEDED,
    "safetensors": _NEEDED,
    "threadpoolctl": _NEEDED,
    "tqdm": _NEEDED,
    "tyro": _NEEDED,
    "cupy": f"{_GPU_EXTRAS}; it computes on an NVIDIA GPU",
    "numba-cuda": f"{_GPU_EXTRAS}; it compiles minigen's CUDA kernels, in place of which the readable ones run",
    "torch": "pip install torch; only the tests and benchmarks that compare with PyTorch need it",
}
"""What to install for a package that is missing."""


def report() -> dict[str, dict[str, Any]]:
    """Return the facts, by section and name: strings, numbers, bools, and None for what is missing."""
    installed = packages()
    found_gpu = gpu()
    return {
        "minigen": {"version": minigen.__version__, "folder": str(Path(minigen.__file__).parent)},
        "python": {
            "version": platform.python_version(),
            "program": sys.executable,
            "system": platform.platform(),
        },
        "packages": installed,
        "to install": {name: REMEDIES[name] for name, found in installed.items() if found is None},
        "cpu": cpu(),
        "blas": blas(),
        "gpu": found_gpu,
        "CUDA toolkit": cuda_toolkit(is_used=found_gpu["usable"]),
        "compiled CPU kernels": cpu_kernels("cpu"),
        **{f"compiled {folder}": cpu_kernels(f"{folder}.cpu") for folder in kernel_folders()},
        "compiled CuPy kernels": cupy_kernels(),
    }


def packages() -> dict[str, str | None]:
    """Return the version of every package that minigen can use; None for a missing one. CuPy's package is named for its CUDA."""
    found = versions()
    for name in REMEDIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    cupy = sorted(name for name in found if name.startswith("cupy")) or ["cupy"]
    names = [actual for name in REMEDIES for actual in (cupy if name == "cupy" else [name])]
    return {name: found.get(name) for name in names}


def cpu() -> dict[str, Any]:
    """Return the processor, the cores that this process may use, and minigen's threads, with the variables that choose them."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    count = os.environ.get("MINIGEN_THREADS")
    choice = os.environ.get("MINIGEN_KERNELS")
    if choice == "reference":
        kernels = "reference: the readable kernels run, the compiled ones are off"
    else:
        kernels = f"{choice or 'not set'}: the compiled kernels run; 'reference' turns them off"
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable cores": len(affinity(0)) if affinity else os.cpu_count(),
        "threads": threads.get_threads(),
        "MINIGEN_THREADS": f"{count}: minigen's threads" if count else "not set: a thread for every usable core",
        "MINIGEN_KERNELS": kernels,
        "MINIGEN_DATA": os.environ.get("MINIGEN_DATA") or "not set: downloaded data are kept in ~/.cache/minigen",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()  # Linux; platform.processor() is empty there
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def blas() -> dict[str, Any]:
    """Return the library that multiplies NumPy's matrices."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        libraries = []
    else:
        libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    if not libraries:  # threadpoolctl is missing, or does not know the library, as Apple's
        built_with = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return {"library": built_with["name"], "version": built_with["version"], "threads": "unknown"}
    library = libraries[0]  # NumPy's: it was loaded first
    return {
        "library": library["internal_api"],
        "version": library["version"],
        "threads": library["num_threads"],
        "file": library["filepath"],
    }


def gpu() -> dict[str, Any]:
    """Return what CuPy says of the current GPU, or why there is none to compute on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            runtime = module_of("gpu").cuda.runtime
            facts = _device(runtime)
        except (RuntimeError, ImportError) as error:  # an ImportError if CuPy does not fit the system
            facts = {"usable": False, "reason": str(error)}
    if caught:
        facts["warnings"] = "; ".join(str(warning.message) for warning in caught)
    return facts


def cuda_toolkit(*, is_used: bool) -> dict[str, Any]:
    """Return where the parts of NVIDIA's toolkit are, what to do about missing ones, and whether minigen's kernels can be compiled.

    Args:
        is_used: there is a GPU; without one nothing can be compiled.

    Returns:
        An empty dictionary if no installed package would use the toolkit.
    """
    facts: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = {name: toolkit.library(name) for name in toolkit.PARTS}
        except ImportError:
            return {}
        if is_used:
            facts["kernels compiled"] = kernels.cuda_wanted()
    if caught:
        facts["warnings"] = "; ".join(str(warning.message) for warning in caught)
    lacking = [f"{name}, which {use}" for name, use in toolkit.PARTS.items() if found[name] is None]
    if lacking:
        facts["missing"] = f"{', and '.join(lacking)}: {toolkit.MISSING}"
    return found | facts


def _device(runtime: Any) -> dict[str, Any]:
    properties = runtime.getDeviceProperties(runtime.getDevice())
    free, total = runtime.memGetInfo()
    return {
        "usable": True,
        "device": properties["name"].decode(),
        "devices": runtime.getDeviceCount(),
        "compute capability": f"{properties['major']}.{properties['minor']}",
        "memory": f"{_size(total)}, {_size(free)} free",
        "CUDA runtime": _cuda_version(runtime.runtimeGetVersion()),
        "CUDA of the driver": _cuda_version(runtime.driverGetVersion()),
    }


def _cuda_version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"  # 13020 is 13.2


def kernel_folders() -> list[str]:
    """Return the folders of `kernels/`, each with kernels of one subject.

    Example:
        >>> "convolution" in kernel_folders()
        True
    """
    return sorted(module.name for module in pkgutil.iter_modules(kernels.__path__) if module.ispkg)


def cpu_kernels(module: str) -> dict[str, Any]:
    """Return where Numba keeps the machine code of a module of `kernels/`, which it compiles once."""
    try:
        from minigen.kernels import compiler

        source = importlib.import_module(f"minigen.kernels.{module}")
    except ImportError as error:
        return {"folder": None, "reason": str(error)}
    function = next(f for f in vars(source).values() if inspect.isfunction(f) and f.__module__ == source.__name__)
    folder = compiler.loop(function).stats.cache_path  # that of any function in the file; nothing is compiled here
    if folder is None:
        return {"folder": None, "reason": "no folder can be written to; NUMBA_CACHE_DIR names one"}
    return _cache(Path(folder), "*.nb[ci]")


def cupy_kernels() -> dict[str, Any]:
    """Return where CuPy keeps the kernels that it compiles."""
    folder = Path(os.environ.get("CUPY_CACHE_DIR", "~/.cupy/kernel_cache")).expanduser()
    return _cache(folder, "*") if folder.is_dir() else {"folder": None}


def _cache(folder: Path, pattern: str) -> dict[str, Any]:
    sizes = []
    for path in folder.glob(pattern):
        with contextlib.suppress(FileNotFoundError):  # removed just now by a process that recompiles
            found = path.stat()
            if stat.S_ISREG(found.st_mode):
                sizes.append(found.st_size)
    return {
        "folder": str(folder),
        "files": len(sizes),
        "size": _size(sum(sizes)),
        "writable": os.access(folder, os.W_OK),
    }


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def as_text(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the facts as two aligned columns under the titles of their sections, long values wrapped; empty sections are left out."""
    words = {None: "missing", True: "yes", False: "no"}
    width = max(len(name) for section in facts.values() for name in section)
    lines = []
    for title, section in facts.items():
        if section:
            lines += ["", title]
        for name, fact in section.items():
            text = words[fact] if fact is None or isinstance(fact, bool) else str(fact)
            label = f"  {name:{width}}   "
            lines += textwrap.wrap(
                text,
                width=120,
                initial_indent=label,
                subsequent_indent=" " * len(label),
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(lines[1:])


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(
        prog="python -m minigen", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")
    arguments = parser.parse_args()
    facts = report()
    print(json.dumps(facts, indent=2) if arguments.json else as_text(facts))


if __name__ == "__main__":
    main()
