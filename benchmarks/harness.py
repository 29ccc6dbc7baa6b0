"""What the benchmarks share: fair timing, the description of the machine, tables, JSON and pictures.

Two programs are compared within one run and by turns, so that whatever else the machine does strikes both. A figure is the median of many
rounds, with its quartiles; a ratio is the median of the rounds' ratios. Nothing is timed before it has been warmed up.
"""

import argparse
import functools
import importlib
import json
import os
import platform
import statistics
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from minigen.backend import module_of
from minigen.kernels import threads as kernel_threads
from minigen.training import versions, write_atomically

Work = Callable[[], Any]

SETTLING = 0.01
"""Seconds between two programs: the idle threads of the one before spin for a while, and would hold up the next."""


def arguments(description: str | None, threads: int = 2) -> argparse.Namespace:
    """Parse the options that all benchmarks have, and set the number of threads of everything that computes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--threads", type=int, default=threads, help=f"threads for BLAS, kernels and PyTorch ({threads})"
    )
    parser.add_argument("--quick", action="store_true", help="a few rounds only: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="F", help="write machine and rows to F")
    parser.add_argument("--plot", type=Path, metavar="F", help="draw the ratios to F (png, svg, pdf)")
    options = parser.parse_args()
    threadpool_limits(options.threads)
    kernel_threads.set_threads(options.threads)
    return options


@functools.cache
def torch() -> Any:
    """Return PyTorch, or None after saying that it is missing."""
    try:
        return importlib.import_module("torch")
    except ImportError:
        print("PyTorch is not installed: its columns are left out")
        return None


@functools.cache
def gpu() -> Any:
    """Return CuPy if there is a GPU to compute on, or None after saying why not."""
    try:
        return module_of("gpu")
    except RuntimeError as reason:
        print(f"No column of a GPU: {reason}")
        return None


def awaited(work: Work) -> Work:
    """Return the work with a wait for the GPU at its end."""
    wait = gpu().cuda.Device().synchronize

    def run() -> None:
        work()
        wait()

    return run


def seconds_per_call(work: Work, *, shortest: float = 2e-2) -> tuple[float, int]:
    """Return a first estimate of the time of a call, and how many calls make a measurable round."""
    work()
    calls = 1
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        elapsed = time.perf_counter() - start
        if elapsed >= shortest:
            return elapsed / calls, calls
        calls *= 4


def milliseconds(works: dict[str, Work], *, rounds: int) -> dict[str, np.ndarray]:
    """Time several programs by turns: name -> milliseconds of a call in each round, (rounds,)."""
    calls = {name: seconds_per_call(work)[1] for name, work in works.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            time.sleep(SETTLING)
            work()
            start = time.perf_counter()
            for _ in range(calls[name]):
                work()
            times[name].append((time.perf_counter() - start) / calls[name] * 1e3)
    return {name: np.array(values) for name, values in times.items()}


def row(name: str, ours: np.ndarray, theirs: np.ndarray | None, **more: Any) -> dict[str, Any]:
    """Return one row of results: medians, quartiles, and the ratio of minigen's time to PyTorch's."""
    result: dict[str, Any] = {"name": name, "minigen_ms": median(ours), "minigen_quartiles": quartiles(ours)}
    if theirs is not None:
        result |= {"torch_ms": median(theirs), "torch_quartiles": quartiles(theirs)}
        result |= {"ratio": median(ours / theirs), "ratio_quartiles": quartiles(ours / theirs)}
    return result | {"rounds": len(ours)} | more


def median(values: np.ndarray) -> float:
    """Round to four digits, all that a time is worth."""
    return float(f"{statistics.median(values):.4g}")


def quartiles(values: np.ndarray) -> list[float]:
    return [float(f"{q:.4g}") for q in np.percentile(values, [25, 75])]


def peak_mb(work: Work) -> float:
    """Return the most memory that one call of minigen holds at a time beyond what it began with, in MB (NumPy reports to tracemalloc)."""
    work()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    work()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return round(peak / 1e6, 3)


def torch_peak_mb(work: Work) -> float:
    """Return the same of PyTorch, from its profiler's record of allocations."""
    profiler = torch().profiler
    work()
    with profiler.profile(activities=[profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        work()
    events = sorted(
        (e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"), key=lambda e: e.start_ns()
    )
    held = peak = 0
    for event in events:
        held += event.nbytes()
        peak = max(peak, held)
    return round(peak / 1e6, 3)


def machine(threads: int) -> dict[str, Any]:
    """Describe what the figures were measured on."""
    cpu = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": threads,
        "blas": [
            f"{pool['internal_api']} {pool['version']}" for pool in threadpool_info() if pool["user_api"] == "blas"
        ],
        "gpu": gpu() and gpu().cuda.runtime.getDeviceProperties(0)["name"].decode(),
        "versions": versions() | {"torch": torch() and torch().__version__},
        "commit": commit.stdout.strip() or None,
        "date": time.strftime("%Y-%m-%d"),
    }


COLUMNS = ("name", "minigen_ms", "torch_ms", "ratio", "gpu_ms", "torch_gpu_ms", "peak_mb", "torch_peak_mb")


def finish(
    rows: list[dict[str, Any]], options: argparse.Namespace, title: str, columns: Sequence[str] = COLUMNS
) -> None:
    """Print the rows as a table; write the JSON and the picture that were asked for."""
    columns = [column for column in columns if any(column in row for row in rows)]
    cells = [
        [
            f"{row.get(column, ''):.4g}" if isinstance(row.get(column), float) else str(row.get(column, ""))
            for column in columns
        ]
        for row in rows
    ]
    widths = [max(len(line[i]) for line in [columns, *cells]) + 2 for i in range(len(columns))]
    print(title)
    for line in [columns, *cells]:
        print(
            line[0].ljust(widths[0])
            + "".join(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        )
    if options.json:
        content = {"machine": machine(options.threads), "rows": rows}
        write_atomically(options.json, (json.dumps(content, indent=1) + "\n").encode())
    if options.plot:
        draw([row for row in rows if "ratio" in row], options.plot, title)


def draw(rows: list[dict[str, Any]], path: Path, title: str) -> None:
    """Draw the ratios, with their quartiles, against 1."""
    from matplotlib.figure import Figure

    from minigen import plots

    figure = Figure(figsize=(9, 1.5 + 0.35 * len(rows)), layout="constrained")
    axes = figure.subplots()
    ratios = np.array([row["ratio"] for row in rows])
    ends = np.array([row["ratio_quartiles"] for row in rows]).T  # (2, rows)
    errors = np.maximum([ratios - ends[0], ends[1] - ratios], 0)
    axes.barh([row["name"] for row in rows], ratios, xerr=errors, color="#009e73", ecolor="#555555")
    axes.axvline(1, color="black", linestyle="--", label="PyTorch")
    axes.invert_yaxis()
    axes.set(xlabel="time of minigen / time of PyTorch (median, quartiles)", title=title)
    axes.legend()
    plots.save(figure, path)
