"""What every training loop shares: the count of steps, the progress bar, the history, the checkpoint, and what an interruption leaves.

run = Run(steps=1000, every=50)
for step in run:                # a progress bar, BLAS on one thread, the checkpoint at the end or when interrupted
    train(...)
    if run.is_due(step):        # every 50th step: the only one at which numbers are read from the device
        run.record(step, loss=loss.item())
"""

import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minigen.kernels.threads import one_blas_thread
from minigen.training.files import HasState, load_state, save_state


class History:
    """Figures recorded during training, a row at a time.

    Attributes:
        rows: dicts of "step" and figures, in order.

    Example:
        >>> history = History()
        >>> history.record(0, loss=2.0)
        >>> history.record(10, loss=1.0)
        >>> history.column("step"), history.column("loss")
        ([0, 10], [2.0, 1.0])
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def record(self, step: int, **figures: float) -> None:
        """Add a row."""
        self.rows.append({"step": step, **figures})

    def column(self, name: str) -> list[float]:
        """Return one figure of every row that has it."""
        return [row[name] for row in self.rows if name in row]

    def state(self) -> dict[str, Any]:
        """Return the rows."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over the rows of `state()`."""
        self.rows = [dict(row) for row in state["rows"]]


class Run:
    """The steps of a training run, to be iterated over.

    Args:
        steps: how many there are in all.
        every: record figures at each multiple of this, and after the last step.
        label: stands before the progress bar.
        monitor: returns further figures to record, slower ones such as a distance to the data; called when a row is due.
        checkpoint: a file for the state of `parts`, written when the run ends, or when Ctrl-C or SIGTERM ends it after a step.
        parts: what the checkpoint keeps, by name: models, optimizers, averages, generators, batches.
        progress: whether to show the bar.

    Attributes:
        history: the figures recorded.
        step: the number of steps taken.

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
        progress: bool = True,
    ) -> None:
        if steps < 0 or every < 1:
            raise ValueError(f"Run: steps = {steps} must be at least 0, and every = {every} at least 1")
        self.steps, self.every, self.label, self.monitor = steps, every, label, monitor
        self.checkpoint = Path(checkpoint) if checkpoint else None
        self.parts = dict(parts or {})
        self.progress = progress
        self.history = History()
        self.step = 0

    def __iter__(self) -> Iterator[int]:
        from tqdm import tqdm

        bar = tqdm(
            total=self.steps,
            initial=self.step,
            desc=self.label,
            disable=not self.progress,
            unit="step",
            dynamic_ncols=True,
        )
        with bar, one_blas_thread(), _signals_noted() as noted:
            self._bar = bar
            while self.step < self.steps:
                yield self.step
                self.step += 1
                bar.update()
                if noted:
                    self._save()
                    kept = f"; their state is in {self.checkpoint}" if self.checkpoint else ""
                    raise KeyboardInterrupt(f"stopped after {self.step} of {self.steps} steps{kept}")
        self._save()

    def is_due(self, step: int) -> bool:
        """Return whether figures are to be recorded at this step."""
        return step % self.every == 0 or step == self.steps - 1

    def record(self, step: int, **figures: float) -> None:
        """Add a row to the history, the monitor's figures included, and show it beside the bar.

        Raises:
            FloatingPointError: a figure is not finite: the training has diverged.
        """
        self._check(step, figures)
        if self.monitor:
            monitored = self.monitor()
            self._check(step, monitored)
            figures = {**figures, **monitored}
        self.history.record(step, **figures)
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in figures.items()}, refresh=False)

    def _check(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"{self.label}: {name} is {value} at step {step}; lower the learning rate, or find the first bad "
                    "value with `with minigen.debug():` around the training"
                )

    def resume(self) -> None:
        """Continue from the checkpoint: load its parts, the history and the number of steps taken."""
        if self.checkpoint is None:
            raise ValueError("Run.resume: this run has no checkpoint to resume from")
        load_state(self.checkpoint, run=self, **self.parts)

    def _save(self) -> None:
        if self.checkpoint:
            save_state(self.checkpoint, run=self, **self.parts)

    def state(self) -> dict[str, Any]:
        """Return the history and the number of steps taken."""
        return {"step": self.step, **self.history.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state()` returned."""
        self.step = state["step"]
        self.history.load_state(state)


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
