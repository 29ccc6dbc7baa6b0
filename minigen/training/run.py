"""What every training loop shares: the count of steps, the progress bar, the history, the checkpoint, and what an interruption leaves.

run = Run(steps=1000, every=50, checkpoint="run.safetensors", parts={"model": model, "optimizer": optimizer, "noise": rng})
run.begin(resume=True)          # or not: go on from the checkpoint of a run that was broken off
for step in run:                # a progress bar, BLAS on one thread, a checkpoint every minute, when interrupted, and at the end
    train(...)
    if run.is_due(step):        # every 50th step: the only one at which numbers are read from the device
        run.record(step, loss=loss.item())

A checkpoint holds all that the steps to come depend on, so that a run that was broken off and resumed ends bitwise where an unbroken one
does. (A learning rate that depends on the number of steps is not state: it follows from the optimizer's count and the configuration.)
"""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minigen.backend import Array, array_module
from minigen.engine import Tensor
from minigen.kernels.memory import kept_memory
from minigen.kernels.threads import one_blas_thread
from minigen.nn import check_whole
from minigen.sizes import whole_number
from minigen.training.files import HasState, load_state, read_state, save_state
from minigen.training.plain import plain


class History:
    """What is recorded during training, a row at a time: figures, or curves as lists of numbers.

    Attributes:
        rows: dicts of "step" and the rest, in order.

    Example:
        >>> history = History()
        >>> history.record(0, loss=2.0)
        >>> history.record(10, loss=1.0)
        >>> history.column("step"), history.column("loss")
        ([0, 10], [2.0, 1.0])
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def record(self, step: int, **figures: Any) -> None:
        """Add a row.

        Args:
            step: the one under way.
            **figures: numbers or lists of numbers, NumPy's or Python's; they are kept as Python's.

        Raises:
            TypeError: a figure is something else.
        """
        row = {name: plain(value, f"record: {name}") for name, value in {"step": step, **figures}.items()}
        for name, value in row.items():
            if not _are_numbers(value):
                raise TypeError(f"record: {name} is {value!r:.100}, expected a number, or a list of numbers")
        self.rows.append(row)

    def column(self, name: str) -> list[Any]:
        """Return one entry of every row that has it."""
        return [row[name] for row in self.rows if name in row]

    def at(self, steps: Collection[int], name: str) -> list[Any]:
        """Return one entry of the rows of these steps."""
        return [row[name] for row in self.rows if row["step"] in steps]

    def evenly(self, n: int) -> list[dict[str, Any]]:
        """Return n rows at even distances, from the first to the last; all where there are fewer."""
        count = len(self.rows)
        places = dict.fromkeys(round(i * (count - 1) / max(1, n - 1)) for i in range(n)) if count else ()
        return [self.rows[place] for place in places]

    def state(self) -> dict[str, Any]:
        """Return the rows."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from the rows of `state()`.

        Raises:
            ValueError: a row does not consist of figures by name, or has no step.
        """
        for i, row in enumerate(state["rows"]):
            if not (isinstance(row, dict) and "step" in row and all(map(_are_numbers, row.values()))):
                raise ValueError(f"History: row {i} is {row!r:.100} in the state, expected a step and figures by name")
            check_whole(row["step"], f"History: step of row {i}")
        self.rows = [dict(row) for row in state["rows"]]


def _are_numbers(value: Any) -> bool:
    """Return whether a value is a number that a float can hold, or a list of such values."""
    if isinstance(value, list):
        return all(map(_are_numbers, value))
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= sys.float_info.max)


def shared_steps(histories: Sequence[History]) -> list[int]:
    """Return the steps that all histories have a row of; a run that was resumed with more steps than at first may have others.

    Example:
        >>> one, other = History(), History()
        >>> for step in (0, 5, 10):
        ...     one.record(step)
        >>> for step in (0, 10, 20):
        ...     other.record(step)
        >>> shared_steps([one, other])
        [0, 10]
    """
    return sorted(set.intersection(*(set(history.column("step")) for history in histories)))


class Run:
    """The steps of a training run, to be iterated over.

    Args:
        steps: how many there are in all.
        every: record figures at each multiple of this, and after the last step.
        label: stands before the progress bar.
        monitor: returns further figures to record, slower ones such as a distance to the data; called when a row is due.
        checkpoint: a file for the state of `parts`, written once in `save_seconds`, when the run ends, and when Ctrl-C or SIGTERM ends it
            after a step.
        parts: what the checkpoint keeps, by name: models, optimizers, averages, generators, batches.
        configuration: settings by name, as JSON values, with which a checkpoint must agree to be resumed; `steps` is none of them.
        save_seconds: how much work a power failure may cost, at most.
        progress: whether to show the bar.

    Attributes:
        history: the figures recorded.
        step: the number of steps taken.
        seconds: the time that they took, over all sessions of the run.

    Example:
        >>> run = Run(steps=3, every=2, progress=False)
        >>> for step in run:
        ...     if run.is_due(step):
        ...         run.record(step, loss=1 / (step + 1))
        >>> run.history.column("step")
        [0, 2]
    """

    def __init__(
        self,
        *,
        steps: int,
        every: int = 100,
        label: str = "training",
        monitor: Callable[[], Mapping[str, float]] | None = None,
        checkpoint: str | Path | None = None,
        parts: Mapping[str, HasState] | None = None,
        configuration: Mapping[str, Any] | None = None,
        save_seconds: float = 60.0,
        progress: bool = True,
    ) -> None:
        self.steps, self.every = whole_number("Run", "steps", steps, 0), whole_number("Run", "every", every, 1)
        self.label, self.monitor = label, monitor
        self.checkpoint = Path(checkpoint) if checkpoint else None
        self.parts = dict(parts or {})
        self.configuration = {
            name: plain(value, f"Run: configuration.{name}") for name, value in (configuration or {}).items()
        }
        self.save_seconds = save_seconds
        self.progress = progress
        self.history = History()
        self.step = 0
        self.seconds = 0.0
        self._finished = 0  # the steps of a finished run in the checkpoint, which an earlier state does not replace

    def __iter__(self) -> Iterator[int]:
        from tqdm import tqdm

        with (
            _signals_noted() as noted,
            one_blas_thread(),
            kept_memory(),
            tqdm(
                total=self.steps,
                initial=self.step,
                desc=self.label,
                disable=not self.progress,
                unit="step",
                dynamic_ncols=True,
            ) as bar,
        ):
            self._bar = bar
            now = saved = time.monotonic()
            while self.step < self.steps:
                yield self.step
                self.step += 1
                before, now = now, time.monotonic()
                self.seconds += now - before
                bar.update()
                if noted:
                    self._save()
                    kept = f"; their state is in {self.checkpoint}" if self.checkpoint else ""
                    if self.step < self._finished:
                        kept = f"; {self.checkpoint} still holds the finished run"
                    raise KeyboardInterrupt(f"stopped after {self.step} of {self.steps} steps{kept}")
                if now - saved > self.save_seconds:
                    try:
                        self._save()
                    except OSError as error:  # such as a disk that is full for a while; the training goes on
                        bar.write(f"{self.label}: no checkpoint after {self.step:,} steps: {error}", file=sys.stderr)
                    saved = now
        self._save()

    def is_due(self, step: int) -> bool:
        """Return whether figures are to be recorded at this step."""
        return step % self.every == 0 or step == self.steps - 1

    def stop_if_diverged(self, step: int, loss: Tensor, terms: Mapping[str, Tensor]) -> None:
        """Raise an error if a loss is not finite, before its gradient spoils the weights.

        On a GPU nothing is looked at, since each look at a number waits for all that is under way; there `log` finds out.

        Args:
            step: the one under way.
            loss: a scalar.
            terms: scalars by name, which the message names.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        if loss.device == "cpu" and not math.isfinite(loss.item()):
            self.check(step, {name: term.item() for name, term in terms.items()} | {"loss": loss.item()})

    def log(self, step: int, terms: Mapping[str, float | Tensor | Array]) -> None:
        """Record figures where they are due; see `record`."""
        if self.is_due(step):
            self.record(step, **terms)

    def record(self, step: int, **measured: float | Tensor | Array) -> None:
        """Add a row to the history, the monitor's figures included, and show it beside the bar.

        Args:
            step: the one under way.
            **measured: numbers, or scalars on any device.

        Raises:
            FloatingPointError: a figure is not finite: the training has diverged.
        """
        figures = self._numbers(measured)
        self.check(step, figures)
        if self.monitor:
            monitored = self._numbers(self.monitor())
            self.check(step, monitored)
            figures = {**figures, **monitored}
        self.history.record(step, **figures)
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in figures.items()}, refresh=False)

    def _numbers(self, measured: Mapping[str, Any]) -> dict[str, float]:
        """Return figures as Python's numbers."""
        figures = {}
        for name, value in measured.items():
            figures[name] = value.item() if getattr(value, "size", 0) == 1 else value
            if not isinstance(figures[name], int | float):
                found = f"of shape {value.shape}" if hasattr(value, "shape") else repr(value)
                raise TypeError(
                    f"{self.label}: {name} is {found}, expected one number; history.record also keeps lists of numbers"
                )
        return figures

    def check(self, step: int, figures: Mapping[str, float]) -> None:
        """Stop a training that has diverged; its last checkpoint stays as it is.

        Raises:
            FloatingPointError: a figure is not finite: the message names it, the step, and the checkpoint.
        """
        for name, value in figures.items():
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"{self.label}: {name} is {value} at step {step}; lower the learning rate, or find the first bad "
                    f"value with `with minigen.debug():` around the training{self._last_good()}"
                )

    def _last_good(self) -> str:
        if not (self.checkpoint and self.checkpoint.is_file()):
            return ""
        return (
            f". The last good state, after {read_run(self.checkpoint or '')['run.step']} steps, is in {self.checkpoint}"
        )

    def begin(self, *, resume: bool = False, overwrite: bool = False) -> None:
        """Decide what becomes of a checkpoint that is there already: go on from it, or overwrite it, but never by mistake.

        A finished run of the same configuration and number of steps may always be run again: the same results come out.

        Args:
            resume: continue from the checkpoint. `steps` may have grown.
            overwrite: start anew, whatever is there.

        Raises:
            FileNotFoundError: there is nothing to resume.
            ValueError: the checkpoint is of another configuration, which is told setting by setting; or it would be overwritten.
        """
        if resume:
            self.resume()
        elif self.checkpoint and self.checkpoint.is_file() and not overwrite:
            found = read_run(self.checkpoint)
            differences = self._differences(found)
            if found["run.steps"] != self.steps:
                differences.append(f"steps: {found['run.steps']} there, {self.steps} now")
            if differences:
                raise ValueError(
                    f"{self.checkpoint} is of another run, which this one would overwrite: {'; '.join(differences)}. Choose another folder "
                    "(--out), or overwrite it (--overwrite)"
                )
            if found["run.step"] < self.steps:
                raise ValueError(
                    f"{self.checkpoint} is of a run that was broken off after {found['run.step']} of {self.steps} steps: go on with it "
                    "(--resume), overwrite it (--overwrite), or choose another folder (--out)"
                )

            self._finished = found["run.step"]

    def resume(self) -> None:
        """Continue from the checkpoint: load its parts, the history and the number of steps taken.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it does not fit; every difference is named, and nothing has been changed.
        """
        if self.checkpoint is None:
            raise ValueError("Run.resume: this run has no checkpoint to resume from")
        if not self.checkpoint.is_file():
            raise FileNotFoundError(f"there is nothing to resume: {self.checkpoint} does not exist")
        found = read_run(self.checkpoint)
        differences = self._differences(found)
        if found["run.step"] > self.steps:
            differences.append(
                f"steps: {found['run.step']} taken there, {self.steps} asked for now; more are possible, fewer not"
            )
        if differences:
            raise ValueError(f"{self.checkpoint} is of another run: {'; '.join(differences)}")
        load_state(self.checkpoint, run=self, **self.parts)

    def _differences(self, found: Mapping[str, Any]) -> list[str]:
        """Name every setting that the checkpoint has otherwise."""
        there, now, missing = found["run.configuration"], self.configuration, "nothing"
        return [
            f"{name}: {there.get(name, missing)!r} there, {now.get(name, missing)!r} now"
            for name in {**there, **now}
            if there.get(name, missing) != now.get(name, missing)
        ]

    def _save(self) -> None:
        if self.checkpoint and self.step >= self._finished:
            for name, part in self.parts.items():
                for entry, value in part.state().items():
                    if (
                        hasattr(value, "dtype")
                        and value.dtype.kind == "f"
                        and not array_module(value).isfinite(value).all()
                    ):
                        raise FloatingPointError(
                            f"{self.label}: {name}.{entry} is not finite after {self.step} steps, and is not saved{self._last_good()}"
                        )
            save_state(self.checkpoint, run=self, **self.parts)

    def state(self) -> dict[str, Any]:
        """Return the history, the number of steps taken and intended, their time, and the configuration."""
        counts = {"step": self.step, "steps": self.steps, "seconds": self.seconds}
        return {**counts, "configuration": self.configuration, **self.history.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from the history, the steps taken and their time.

        Raises:
            ValueError: a value makes no sense.
        """
        step = check_whole(state["step"], "Run: step", most=check_whole(state["steps"], "Run: steps"))
        seconds = state["seconds"]
        if not (_are_numbers(seconds) and not isinstance(seconds, bool | list) and 0 <= seconds < math.inf):
            raise ValueError(f"Run: seconds is {seconds!r:.100} in the state, expected a time")
        self.history.load_state(state)
        self.step, self.seconds = step, float(seconds)


def read_run(path: str | Path) -> dict[str, Any]:
    """Return all entries of a run's checkpoint, with those of the run itself under "run.step", "run.steps", "run.configuration" and others.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or not the checkpoint of a run.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "checkpoint.safetensors"
        ...     for step in Run(steps=3, checkpoint=path, progress=False):
        ...         pass
        ...     read_run(path)["run.step"]
        3
    """
    found = read_state(path)
    if not {"run.step", "run.steps", "run.configuration"} <= found.keys():
        raise ValueError(f"{path} is a file of minigen's, but not the checkpoint of a run")
    steps = check_whole(found["run.steps"], f"{path}: run.steps")
    check_whole(found["run.step"], f"{path}: run.step", most=steps)
    if not isinstance(found["run.configuration"], dict):
        raise ValueError(f"{path}: run.configuration is {found['run.configuration']!r:.100}, expected settings by name")
    return found


@contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Inside the block, Ctrl-C and SIGTERM are only noted in the list, so that the step under way can end; a second one kills as usual."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield noted
        return
    previous: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: Any) -> None:
        noted.append(number)
        signal.signal(number, previous[number])

    for number in previous:
        signal.signal(number, note)
    try:
        yield noted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
