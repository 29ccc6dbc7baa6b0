"""What the compiler makes of the CUDA kernels for an H100 or H200 (compute capability 9.0); no GPU is needed.

Each kernel is compiled to PTX, NVIDIA's portable assembly, and by ptxas to machine code. A thread's registers bound how many threads a
processor holds: up to 32 allow all 2048. What does not fit into registers is spilled to memory, which costs time, as does every use of
float64 on most GPUs. The stack frame of the normal numbers belongs to the branch of sine and cosine for angles above 1e5: none occurs.

    python benchmarks/cuda_resources.py [--json F]

It needs numba-cuda and NVIDIA's compilers nvrtc, nvvm and ptxas (version 13.0 of each has been used); without them it says what is
missing and ends with status 77.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from minigen.training import versions, write_atomically

CAPABILITY = (9, 0)
MISSING = 77
COLUMNS = (
    "kernel",
    "registers",
    "spilled bytes",
    "stack bytes",
    "shared bytes",
    "PTX instructions",
    "float64 instructions",
)


def missing() -> str:
    """Say what cannot be found; empty if all is there."""
    if importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed: pip install -e '.[dev]'"
    from cuda import pathfinder

    for library in ("nvrtc", "nvvm"):
        try:
            pathfinder.load_nvidia_dynamic_lib(library)
        except pathfinder.DynamicLibNotFoundError:
            return (
                f"the library {library} is not found: install NVIDIA's CUDA toolkit, or its part from the package index"
            )
    return "" if ptxas() else "ptxas is not found: install NVIDIA's CUDA toolkit"


def ptxas() -> str | None:
    from cuda import pathfinder

    return pathfinder.find_nvidia_binary_utility("ptxas")


def ptx_of(kernel: Any) -> str:
    """Compile a kernel as its first launch would, for a device that need not be there."""
    from numba import cuda

    device = SimpleNamespace(compute_capability=CAPABILITY)
    with mock.patch("numba.cuda.dispatcher.get_current_device", return_value=device):  # asked by the functions it calls
        return cuda.compile_ptx(kernel.body, kernel.signature, cc=CAPABILITY)[0]


def assembled(ptx: str) -> str:
    """Return what ptxas reports of the code."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "kernel.ptx")
        source.write_text(ptx)
        command = [
            ptxas(),
            "-v",
            f"-arch=sm_{CAPABILITY[0]}{CAPABILITY[1]}",
            source,
            "-o",
            Path(folder, "kernel.cubin"),
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stderr


def resources(name: str, ptx: str) -> dict[str, Any]:
    """Return a row of the table. ptxas reports each function that is not inlined: the sums and the maxima are over them."""
    report = assembled(ptx)

    def numbers(pattern: str) -> list[int]:
        return [int(number) for number in re.findall(pattern, report)]

    instructions = re.findall(r"^\s+(?:@!?%p\d+ )?([a-z][\w.]*)[ \t;]", ptx, re.MULTILINE)
    values = (
        name.removeprefix("_"),
        max(numbers(r"Used (\d+) registers")),
        sum(numbers(r"(\d+) bytes spill (?:stores|loads)")),
        max(numbers(r"(\d+) bytes stack frame")),
        max(numbers(r"(\d+) bytes smem"), default=0),
        len(instructions),
        sum(".f64" in instruction for instruction in instructions),
    )
    return dict(zip(COLUMNS, values, strict=True))


def compilers() -> dict[str, Any]:
    describe = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(describe, capture_output=True, text=True, cwd=Path(__file__).parent, check=False).stdout
    release = re.search(r"V([\d.]+)", subprocess.run([ptxas(), "--version"], capture_output=True, text=True).stdout)
    return {
        "target": "sm_{}{}".format(*CAPABILITY),
        "ptxas": release and release[1],
        "numba-cuda": importlib.metadata.version("numba-cuda"),
        "versions": versions(),
        "commit": commit.strip() or None,
        "date": time.strftime("%Y-%m-%d"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="F", help="write compilers and rows to F")
    options = parser.parse_args()
    if reason := missing():
        parser.exit(MISSING, f"cuda_resources: {reason}\n")
    from minigen.kernels import cuda

    for folder in ("convolution", "gated", "raster"):  # add their kernels to the table
        importlib.import_module(f"minigen.kernels.{folder}.cuda")
    rows = [resources(name, ptx_of(kernel)) for name, kernel in cuda.KERNELS.items()]
    print("CUDA kernels, compiled for {target} by ptxas {ptxas}".format(**compilers()))
    for line in [COLUMNS, *(row.values() for row in rows)]:
        name, *figures = map(str, line)
        print(name.ljust(20) + "".join(f.rjust(len(c) + 3) for f, c in zip(figures, COLUMNS[1:], strict=True)))
    if options.json:
        write_atomically(options.json, (json.dumps({"compilers": compilers(), "rows": rows}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
