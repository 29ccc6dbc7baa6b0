"""What the benchmarks share: fair timing, the description of the machine, tables, JSON and pictures.

Each program is timed in blocks of its own: a pause, some steady work unmeasured, then repetitions on the clock. Short turns would not be
fair: the idle threads of PyTorch's OpenMP spin on for a while and keep a core from the next program, and a second thread that has just
woken up needs some tens of milliseconds before the scheduler gives it a core of its own. The programs that are compared have several blocks
each, by turns, so that a slow minute of the machine strikes all of them. A figure is the median over the blocks' repetitions, with its
quartiles; a ratio is that of two medians, and its range goes from the best quartile over the worst to the worst over the best.
"""

import argparse
import functools
import importlib
import json
import os
import platform
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from minigen.backend import module_of
from minigen.kernels import threads as kernel_threads
from minigen.training import versions, write_atomically

Work = Callable[[], Any]

MEASURABLE = 5e-3
"""Seconds of a repetition; shorter calls are repeated within it."""


class Effort(NamedTuple):
    """How long a program is timed. Times are in seconds."""

    blocks: int
    pause: float  # before a block
    warming: float  # of a block, at least one call
    measuring: float  # of a block
    repetitions: int  # of a block at least, unless they take longer than `longest`
    longest: float


FULL, TRIAL, QUICK = (
    Effort(3, 0.1, 0.3, 0.15, 3, 5.0),
    Effort(1, 0.1, 0.1, 0.1, 3, 5.0),
    Effort(1, 0.0, 0.0, 0.0, 1, 1.0),
)
"""To measure; to choose what to measure; to see that it runs."""


def arguments(
    description: str | None, threads: int = 2, add: Callable[[argparse.ArgumentParser], None] = lambda parser: None
) -> argparse.Namespace:
    """Parse the options that all benchmarks have, and those that `add` adds; set the number of threads of everything that computes.

    The attribute `effort` is how long to time.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--threads", type=int, default=threads, help=f"threads for BLAS, kernels and PyTorch ({threads})"
    )
    parser.add_argument("--quick", action="store_true", help="a call or two of each: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="F", help="write machine and rows to F")
    parser.add_argument("--plot", type=Path, metavar="F", help="draw the outcome to F (png, svg, pdf)")
    add(parser)
    options = parser.parse_args()
    threadpool_limits(options.threads)
    kernel_threads.set_threads(options.threads)
    options.effort = QUICK if options.quick else FULL
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


def wall_clock(work: Work, calls: int) -> float:
    """Return the seconds that so many calls take."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return time.perf_counter() - start


def gpu_clock(work: Work, calls: int) -> float:
    """Return the seconds that the GPU takes for so many calls, from the first's arrival to the end of the last."""
    events = gpu().cuda.Event(), gpu().cuda.Event()
    events[0].record()
    for _ in range(calls):
        work()
    events[1].record()
    events[1].synchronize()
    return gpu().cuda.get_elapsed_time(*events) / 1e3


def milliseconds(
    works: dict[str, Work], effort: Effort, clock: Callable[[Work, int], float] = wall_clock
) -> dict[str, np.ndarray]:
    """Time several programs in blocks, by turns: name -> milliseconds of a call in each repetition."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(effort.blocks):
        for name, work in works.items():
            time.sleep(effort.pause)
            times[name] += block(work, effort, clock)
    return {name: np.array(values) for name, values in times.items()}


def block(work: Work, effort: Effort, clock: Callable[[Work, int], float]) -> list[float]:
    """Warm a program up and time it: milliseconds of a call in each repetition."""
    calls, start = 1, time.perf_counter()
    elapsed = clock(work, calls)
    while time.perf_counter() - start < effort.warming:
        calls = max(1, round(MEASURABLE * calls / max(elapsed, 1e-7)))
        elapsed = clock(work, calls)
    found: list[float] = []
    start = time.perf_counter()
    spent = 0.0
    while (spent < effort.measuring or len(found) < effort.repetitions) and spent < effort.longest:
        found.append(clock(work, calls) / calls * 1e3)
        spent = time.perf_counter() - start
    return found


def timed(times: np.ndarray) -> dict[str, Any]:
    """Return the median and the quartiles of a program's milliseconds, and of how many repetitions they are."""
    return {"ms": median(times), "quartiles": quartiles(times), "repetitions": len(times)}


def against(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Return PyTorch's time, and the ratio of minigen's to it with its range."""
    (low, high), (their_low, their_high) = np.percentile(ours, [25, 75]), np.percentile(theirs, [25, 75])
    return {
        "torch_ms": median(theirs),
        "torch_quartiles": quartiles(theirs),
        "ratio": rounded(np.median(ours) / np.median(theirs)),
        "ratio_quartiles": [rounded(low / their_high), rounded(high / their_low)],
    }


def row(name: str, ours: np.ndarray, theirs: np.ndarray | None, **more: Any) -> dict[str, Any]:
    """Return one row of results: medians, quartiles, and the ratio of minigen's time to PyTorch's."""
    result: dict[str, Any] = {"name": name, "minigen_ms": median(ours), "minigen_quartiles": quartiles(ours)}
    if theirs is not None:
        result |= against(ours, theirs)
    return result | {"repetitions": len(ours)} | more


def rounded(value: float) -> float:
    """Return the first four digits, all that a time is worth."""
    return float(f"{value:.4g}")


def median(values: np.ndarray) -> float:
    return rounded(np.median(values))


def geometric_mean(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


def quartiles(values: np.ndarray) -> list[float]:
    return [rounded(q) for q in np.percentile(values, [25, 75])]


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


COLUMNS = (
    "name", "minigen_ms", "torch_ms", "ratio", "gpu_ms", "torch_gpu_ms", "peak_mb", "torch_peak_mb", "peak_ratio"
)  # fmt: skip


def finish(
    rows: list[dict[str, Any]], options: argparse.Namespace, title: str, columns: Sequence[str] = COLUMNS
) -> None:
    """Print the rows as a table; write the JSON and the picture that were asked for."""
    show(rows, title, columns)
    write(rows, options)
    if options.plot:
        draw([row for row in rows if "ratio" in row], options.plot, title)


def show(rows: Sequence[dict[str, Any]], title: str, columns: Sequence[str]) -> None:
    """Print the columns of a table that any row has; the first of them to the left."""
    columns = [column for column in columns if any(row.get(column) is not None for row in rows)]
    lines = [columns, *([cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in lines) + 2 for i in range(len(columns))]
    print(title)
    for first, *others in lines:
        print(first.ljust(widths[0]) + "".join(text.rjust(n) for text, n in zip(others, widths[1:], strict=True)))


def cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Write the JSON that was asked for."""
    if options.json:
        content = {"machine": machine(options.threads), "rows": rows}
        write_atomically(options.json, (json.dumps(content, indent=1) + "\n").encode())


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
