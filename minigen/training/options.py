"""Command lines: options that say what they accept, the ones that every run has, and mistakes that end a program with a sentence."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from minigen.backend import module_of
from minigen.training.drawing import DrawingStopped
from minigen.training.files import read_state

CHECKPOINT = "checkpoint.safetensors"  # the file of a run in its folder


def at_least(minimum: int) -> Callable[[str], int]:
    """Return an argparse type for whole numbers from `minimum` on.

    Example:
        >>> at_least(1)("3")
        3
    """

    def whole_number(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if number < minimum:
            raise argparse.ArgumentTypeError(f"{number} is less than {minimum}")
        return number

    return whole_number


def positive(text: str) -> float:
    """Be an argparse type for numbers above 0.

    Example:
        >>> positive("0.5")
        0.5
    """
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and finite")
    return number


def device(text: str) -> str:
    """Be an argparse type for a device that is there.

    Example:
        >>> device("cpu")
        'cpu'
    """
    try:
        module_of(text)
    except (ValueError, RuntimeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def add_run_options(parser: argparse.ArgumentParser, *, out: str) -> None:
    """Add the options of every training run: seed, device, folder, pictures, and what to do with a run that is there already.

    Args:
        parser: of the program.
        out: the folder that is written into where nothing else is said.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_run_options(parser, out="runs/vae")
        >>> parser.parse_args(["--seed", "3"]).seed
        3
    """
    options = parser.add_argument_group("the run (default)")
    options.add_argument(
        "--seed", type=at_least(0), default=0, help="of weights, noise and batches; same seed, same result (0)"
    )
    options.add_argument("--device", type=device, default="cpu", help="cpu or gpu: where to compute (cpu)")
    options.add_argument("--out", type=Path, default=Path(out), help=f"folder for all that is written ({out})")
    options.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="of the pictures (png)")
    options.add_argument("--no-plots", action="store_true", help="draw nothing (off)")
    what = options.add_mutually_exclusive_group()
    what.add_argument("--resume", action="store_true", help="go on with the run in --out (off)")
    what.add_argument("--overwrite", action="store_true", help="replace another run in --out (off)")
    what.add_argument(
        "--evaluate", type=Path, metavar="RUN", help="train nothing: measure and draw the run in that folder again"
    )
    what.add_argument(
        "--sample", type=at_least(1), metavar="N", help="train nothing: draw N samples from the run in --out"
    )


def recall(arguments: argparse.Namespace, names: Sequence[str]) -> bool:
    """Where a finished run is to be evaluated or sampled from, take over its settings, and its folder as `out`.

    Args:
        arguments: with the options of `add_run_options`.
        names: the settings that a checkpoint's configuration holds, and `steps`.

    Returns:
        Whether nothing is to be trained.

    Raises:
        FileNotFoundError: there is no checkpoint.
        ValueError: the checkpoint is of a program with other settings, or is to be evaluated before its run is finished.
    """
    if not (arguments.evaluate or arguments.sample):
        return False
    arguments.out = arguments.evaluate or arguments.out
    path = arguments.out / CHECKPOINT
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: name the folder of a run with --{'evaluate RUN' if arguments.evaluate else 'out RUN'}"
        )
    found = read_state(path)
    saved = found.get("run.configuration", {}) | {"steps": found.get("run.steps")}
    missing = [name for name in names if saved.get(name, ...) is ...]
    if missing or saved["steps"] is None:
        raise ValueError(f"{path} is of another program: it tells nothing of {', '.join(missing) or 'steps'}")
    if arguments.evaluate and found["run.step"] < found["run.steps"]:
        raise ValueError(
            f"{path} is of a run that stopped after {found['run.step']:,} of {found['run.steps']:,} steps: its own command with --resume "
            "finishes it"
        )
    for name in (*names, "steps"):
        setattr(arguments, name, saved[name])
    return True


@contextmanager
def plain_errors() -> Iterator[None]:
    """End the program with the message of a ValueError or OSError inside the block, which only takes over what the user gave.

    Example:
        >>> with plain_errors():
        ...     raise ValueError("my.csv has no column 'hight'")
        Traceback (most recent call last):
        SystemExit: error: my.csv has no column 'hight'
    """
    try:
        yield
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def run_program(main: Callable[[], None]) -> None:
    """Run a program whose training may be broken off or diverge: either ends it with a sentence, not a traceback.

    Args:
        main: the program.

    Example:
        >>> def main():
        ...     raise KeyboardInterrupt("stopped after 3 of 10 steps")
        >>> run_program(main)
        Traceback (most recent call last):
        SystemExit: stopped after 3 of 10 steps; the same command with --resume goes on from there
    """
    try:
        main()
    except DrawingStopped as stop:
        sys.exit(f"\n{stop}; what was trained is kept")
    except KeyboardInterrupt as interruption:
        if interruption.args:  # a training, which says how far it came
            sys.exit(f"\n{interruption}; the same command with --resume goes on from there")
        sys.exit("\nstopped")
    except FloatingPointError as error:
        sys.exit(f"\nerror: {error}")
