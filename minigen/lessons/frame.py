"""The frame of every example: what happens between the command line and the closing table.

    read the settings -> load, build -> new run, resumed, evaluated or sampled from? -> train -> measure -> draw -> table

A lesson fills in the steps, each a plainly named method, and `teach` calls them in this order.
"""

import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Generic, TypeVar

from matplotlib.figure import Figure
from numpy.typing import NDArray

from minigen import plots
from minigen.lessons.command_line import command_of, given, read_command_line
from minigen.lessons.settings import RunOptions, SamplingOptions, Settings, TrainingSettings, option
from minigen.random import Generator
from minigen.training import DrawingStopped, Run, read_run, table, versions, write_arrays, write_metrics
from minigen.training.files import HasState, check_writable
from minigen.training.plain import not_finite, plain

CHECKPOINT = "checkpoint.safetensors"  # the file of a run in its folder
ORDER = 2**32  # added to the seed of the noise to get that of the batches' order

S = TypeVar("S", bound=Settings)
T = TypeVar("T", bound=TrainingSettings)
Rows = Sequence[tuple[str, str]]
Picture = Figure | plots.Animation


@dataclass(frozen=True)
class Samples:
    """What `--sample N` writes.

    Attributes:
        arrays: by name, for samples.npz.
        picture: of some of them.
        stopped: what broke the drawing off, if anything did; the arrays hold what was drawn by then.
    """

    arrays: Mapping[str, NDArray[Any]]
    picture: Figure
    stopped: DrawingStopped | None = None


class Lesson(Generic[S]):
    """One example: what is measured, drawn and told.

    Args:
        settings: from the command line.

    Attributes:
        settings: the same.
        out: the folder for results.
    """

    def __init__(self, settings: S) -> None:
        self.settings = settings
        self.out = settings.run.out

    def measure(self) -> dict[str, Any]:
        """Return the figures for metrics.json, to which `teach` adds the settings and the versions; NaN and infinity become null there."""
        raise NotImplementedError

    def pictures(self, figures: Mapping[str, Any]) -> Iterator[tuple[str, Picture]]:
        """Yield names with figures or animations, which are written as soon as they come; one that cannot be written is left out.

        Args:
            figures: what `measure` returned, with the settings.
        """
        yield from ()

    def tables(self, figures: Mapping[str, Any]) -> Iterator[tuple[str, Rows]]:
        """Yield titles with the rows that stand under them, the last thing that is printed."""
        raise NotImplementedError

    def keep(self) -> None:
        """Write what else a run leaves in its folder, such as its weights. Called when metrics.json is written."""


class TrainingLesson(Lesson[T]):
    """A lesson that trains models in one or several runs.

    `__init__` loads the data, builds the models and what trains them, and registers the runs; it writes nothing.

    Attributes:
        device: where to compute.
        rng: of weights and noise, on the device.
        order: of the batches.
        runs: all that are trained, in order; samples are drawn from what the first trains.
        evaluation_seed: of what is drawn in measuring and drawing.
    """

    evaluation_seed = 20140610

    def __init__(self, settings: T) -> None:
        super().__init__(settings)
        self.device = settings.run.device
        self.rng = Generator(settings.seed, device=self.device)
        self.order = Generator(settings.seed + ORDER)
        self.runs: list[Run] = []

    def new_run(
        self,
        label: str,
        *,
        rows: int,
        steps: int | None = None,
        monitor: Callable[[], Mapping[str, float]] | None = None,
        file: str = CHECKPOINT,
        configuration: Mapping[str, Any] | None = None,
        parts: Mapping[str, HasState],
    ) -> Run:
        """Register a run whose checkpoint keeps these parts and both generators.

        Args:
            label: stands before the progress bar.
            rows: about how many rows of figures it records.
            steps: None for those of the settings.
            monitor: as for `Run`.
            file: the checkpoint in the run's folder.
            configuration: what a resumed run must have in common with this one; None for `self.configuration()`.
            parts: what is trained and what trains it, by name.
        """
        steps = steps or self.settings.steps
        generators: dict[str, Any] = {"noise": self.rng, "order": self.order}
        run = Run(
            steps=steps,
            every=max(1, steps // rows),
            label=label,
            monitor=monitor,
            checkpoint=self.out / file,
            parts={**generators, **parts},
            configuration=self.configuration() if configuration is None else configuration,
        )
        self.runs.append(run)
        return run

    def configuration(self) -> dict[str, Any]:
        """Return what a resumed run must have in common with this one: the settings, or more."""
        return self.settings.configuration()

    def train(self) -> None:
        """Train until the last step of every run; those that are finished take none."""
        raise NotImplementedError

    def evaluation_rng(self, device: str | None = None) -> Generator:
        """Return what draws in measuring and drawing: the same numbers each time, however training ended.

        Args:
            device: where the numbers are wanted; None for where the model is.
        """
        return Generator(self.evaluation_seed, device=device or self.device)

    def samples(self, n: int) -> Samples:
        """Draw n samples from the model of the first run."""
        raise NotImplementedError

    def write_samples(self, n: int) -> None:
        """Write n samples as numbers and, unless --no-plots is given, as a picture."""
        drawn = self.samples(n)
        written = ["samples.npz"]
        write_arrays(self.out / "samples.npz", **drawn.arrays)
        if not self.settings.run.no_plots:
            written.append(f"samples.{self.settings.run.format}")
            plots.save(drawn.picture, self.out / written[-1])
        print(f"written to {self.out}/: {', '.join(written)}")
        if drawn.stopped:
            raise drawn.stopped

    @classmethod
    def settings_of(cls, folder: Path, settings: T) -> T:
        """Return the settings of the run in a folder, with only the run options taken from the command line.

        Raises:
            ValueError: the checkpoint is of a lesson with other settings.
        """
        path = folder / CHECKPOINT
        found = read_run(path)
        saved = found["run.configuration"] | {"steps": found["run.steps"]}
        missing = [name for name in settings.configuration() if name not in saved]
        if missing:
            raise ValueError(f"{path} belongs to another program: it does not have {', '.join(missing)}")
        names = (*settings.configuration(), "steps")
        known: Any = {name: tuple(v) if isinstance(v := saved[name], list) else v for name in names}
        try:
            return replace(settings, **known)
        except ValueError as error:
            raise ValueError(f"{path} belongs to another program: {error}") from None


def teach(lesson: type[Lesson[S]], defaults: Callable[..., S], description: str | None) -> None:
    """Run a lesson from this program's command line to the closing table; whatever goes wrong ends it with a sentence.

    Args:
        lesson: the class.
        defaults: its settings class, or a function as for `read_command_line`.
        description: for `--help`: the program's docstring.

    Raises:
        SystemExit: with a message, if the run is refused, broken off, or diverges.
    """
    with _output_that_may_close():
        name = Path(sys.argv[0]).stem
        settings = read_command_line(defaults, name=name, description=description)
        _run(lesson, settings, defaults, name)


def _run(lesson: Any, settings: Any, defaults: Callable[..., Any], name: str) -> None:
    """Run a lesson with the settings of a command line."""
    command = partial(command_of, defaults=defaults, name=name)
    try:
        if isinstance(settings.run, RunOptions):
            _train_and_show(lesson, settings, defaults, command)
        else:
            with _plain_errors():
                _check_folder(settings.run.out)
                chosen = lesson(settings)
            _show(chosen, command)
    except DrawingStopped as stop:
        sys.exit(f"\n{stop}" + "; what was trained is kept" * isinstance(settings.run, RunOptions))
    except KeyboardInterrupt as interruption:
        if interruption.args:  # a training, which says how far it came
            instead = " in place of --overwrite" if getattr(settings.run, "overwrite", False) else ""
            sys.exit(f"\n{interruption}; the same command with --resume{instead} goes on from there")
        sys.exit("\nstopped")
    except MemoryError as error:
        sys.exit(f"\nerror: there is not enough memory: {error}")
    except OverflowError as error:
        sys.exit(f"\nerror: a setting is too large to compute with: {error}")
    except FloatingPointError as error:
        sys.exit(f"\nerror: {error}")
    except BrokenPipeError:
        raise
    except OSError as error:  # such as a disk that is full
        sys.exit(f"\nerror: {error}")


def _train_and_show(kind: Any, settings: Any, defaults: Callable[..., Any], command: Callable[[Any], str]) -> None:
    """Train or not, as the settings want it, and show what came out."""
    options = settings.run
    wanted = options.sample if isinstance(options, SamplingOptions) else None
    is_trained = bool(options.evaluate or wanted)
    with _plain_errors():
        if is_trained:
            folder = options.evaluate or options.out
            if not folder.is_dir() or not any(folder.glob("*.safetensors")):
                hint = "evaluate RUN" if options.evaluate else "out RUN"
                raise FileNotFoundError(f"there is no run in {folder}: name the folder of one with --{hint}")
            asked, settings = settings, replace(settings, run=replace(options, out=folder))
            settings = kind.settings_of(folder, settings)
            _tell_what_is_not_used(asked, settings, defaults)
        _check_folder(settings.run.out)
        lesson = kind(settings)
        for path in [lesson.out / "metrics.json", *(run.checkpoint for run in lesson.runs if run.checkpoint)]:
            check_writable(path)
        _begin(lesson.runs[:1] if wanted else lesson.runs, options, is_trained)
    if wanted:
        first = lesson.runs[0]
        if first.step < first.steps:
            _note(
                f"the run stopped after {first.step:,} of {first.steps:,} steps; the samples are from the model as it was then"
            )
        lesson.write_samples(wanted)
        return
    if not is_trained:
        lesson.train()
    _show(lesson, command)


def _begin(runs: Sequence[Run], options: RunOptions, is_trained: bool) -> None:
    """Decide what becomes of checkpoints that are there already."""
    if options.overwrite:  # one decision for all of them: what is left of the others would not go with the first
        for run in runs[1:]:
            if run.checkpoint:
                run.checkpoint.unlink(missing_ok=True)
    is_there = [run.checkpoint is not None and run.checkpoint.is_file() for run in runs]
    for run, there in zip(runs, is_there, strict=True):
        # Of several runs that were broken off, those that had not begun begin now.
        resume = is_trained or (options.resume and (there or not any(is_there)))
        run.begin(resume=resume, overwrite=options.overwrite)
        if options.evaluate and run.step < run.steps:
            raise ValueError(
                f"{run.checkpoint} belongs to a run that stopped after {run.step:,} of {run.steps:,} steps: to finish it, repeat its "
                "command with --resume"
            )


def _show(lesson: Any, command: Callable[[Any], str]) -> None:
    """Measure, write the figures with the command that gives them, draw, and print the table.

    Once the figures are written, no failure cuts the report short; failures are told at the end.

    Raises:
        SystemExit: with a message, if something could not be kept, drawn or printed.
    """
    settings, runs, out = lesson.settings, getattr(lesson, "runs", []), lesson.out
    problems: list[str] = []
    with _stopping("stopped while measuring"):
        try:
            measured = lesson.measure()
        except Exception as error:
            if runs:
                error.add_note(f"What was trained is kept; the same command with --evaluate {out} measures it again.")
            raise
    figures = settings.configuration() | measured
    if runs:
        figures |= {"steps": settings.steps, "device": settings.run.device}
        figures |= {"seconds": round(sum(run.seconds for run in runs), 1)}
    figures |= {"command": command(settings), "versions": versions()}
    _write_figures(out / "metrics.json", figures)
    with _stopping(f"stopped while drawing; the figures are in {out / 'metrics.json'}"):
        with _told(problems, "the other files of the run"):
            lesson.keep()
        if not settings.run.no_plots:
            _draw(lesson, figures, problems)
    with _told(problems, "the table"):
        *others, (title, rows) = lesson.tables(figures)
        if runs:
            rows = [*rows, ("seconds of training", f"{figures['seconds']:.1f}")]
        for heading, content in [*others, (title, rows)]:
            print(table(content, heading), end="\n\n")
    print(f"written to {out}/: " + ", ".join(sorted(path.name for path in out.iterdir())))
    if problems:
        sys.exit("\n".join([f"error: the figures are in {out / 'metrics.json'}, but this failed:", *problems]))


def _write_figures(path: Path, figures: Mapping[str, Any]) -> None:
    """Write metrics.json; a figure that is NaN or infinite, such as one of a class without images, becomes null, and a note says so."""
    figures = plain(figures, "figures")
    lost = [name for name, _ in not_finite(figures, "")]
    if lost:
        _note(f"{', '.join(lost)}: not finite, hence null in metrics.json")
    write_metrics(path, {name: _finite(value) for name, value in figures.items()})


def _finite(value: Any) -> Any:
    """Return a plain value with None in place of NaN and infinities."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _draw(lesson: Any, figures: Mapping[str, Any], problems: list[str]) -> None:
    """Write the pictures of a lesson as they come."""
    # An error in the generator ends it, so the later pictures are missing, too.
    with _told(problems, "the missing pictures"):
        for name, picture in lesson.pictures(figures):
            with _told(problems, f"the picture {name}"):
                if isinstance(picture, plots.Animation):
                    plots.save_animation(picture, lesson.out / f"{name}.gif")
                else:
                    plots.save(picture, lesson.out / f"{name}.{lesson.settings.run.format}")


@contextmanager
def _told(problems: list[str], what: str) -> Iterator[None]:
    """Turn an error in the block into a sentence among the problems."""
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        problems.append(f"{what}: {type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})")


@contextmanager
def _stopping(words: str) -> Iterator[None]:
    """Let Ctrl-C in the block say what it stopped."""
    try:
        yield
    except DrawingStopped:
        raise
    except KeyboardInterrupt:
        raise DrawingStopped(words) from None


def _note(words: str) -> None:
    """Tell the user something that may be unexpected, apart from the results."""
    print(f"note: {words}", file=sys.stderr)


def _tell_what_is_not_used(asked: Any, found: Any, defaults: Callable[..., Any]) -> None:
    """Name the options on the command line that are not used, since the run has settings of its own."""
    for name in given(asked, defaults):
        value, own = getattr(asked, name), getattr(found, name)
        if value != own:
            asked_for, has = f"{option(name)} {_said(value)}", f"has {_said(own)}"
            if isinstance(value, bool):
                asked_for, has = option(name if value else f"no_{name}"), "is without it"
            _note(f"{asked_for} is not used; the run in {found.run.out} {has}")
    if asked.run.evaluate and asked.run.out not in (found.run.out, Path("runs") / Path(sys.argv[0]).stem):
        _note(f"--out {asked.run.out} is not used; results go to {found.run.out}")


def _said(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@contextmanager
def _output_that_may_close() -> Iterator[None]:
    """End without a traceback when whoever reads the output stops reading: `python examples/vae.py --help | head`."""
    try:
        try:
            yield
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still to be flushed goes nowhere
        sys.exit(1)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written into before anything is computed for it; leave no trace if it is not there yet.

    Raises:
        OSError: the operating system's reason.
    """
    there = folder
    while not (there.exists() or there.is_symlink()):  # a link to nothing is there, too
        there = there.parent
    if not there.is_dir():
        raise NotADirectoryError(f"--out {folder}: {there} is not a folder")
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise OSError(f"--out {folder}: nothing can be written to {there}: {error.strerror}") from error


@contextmanager
def _plain_errors() -> Iterator[None]:
    """End the program with the message of a ValueError or OSError raised in the block, which only reads what the user gave."""
    try:
        yield
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
