"""Settings of a lesson: one frozen dataclass, which is its command line, its `--help` and the configuration of its run.

    @dataclass(frozen=True, kw_only=True)
    class Settings(lessons.Settings):
        latent: Count = 8  # dimension of z

gives the program an option `--latent` with that default and that help. The type says which values make sense: `Count`, `Positive` and the
like are `int` and `float` with a range, which is checked whenever settings are made, by a program or from a command line.

What a run *is* stands in the settings themselves, and a run that is resumed must have the same. How it is *run* (where, with which
pictures, whether to resume) stands in their field `run`, which a checkpoint does not keep.
"""

import dataclasses
import math
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from numbers import Real as RealNumber
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from tyro.conf import arg, create_mutex_group
from tyro.constructors import PrimitiveConstructorSpec

from minigen.backend import module_of


class Range(NamedTuple):
    """The numbers from `least` to `most` that make sense, without the ends if `is_open`.

    Example:
        >>> 0.0 in Range(0, is_open=True), 3 in Range(1), float("inf") in Range(1)
        (False, True, False)
        >>> str(Range(0, 1)), str(Range(1)), str(Range(0, is_open=True))
        ('from 0 to 1', 'at least 1', 'above 0')
    """

    least: float
    most: float = math.inf
    is_open: bool = False

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, RealNumber) or not -math.inf < number < math.inf:  # type: ignore[operator]
            return False
        value: Any = number
        return self.least < value < self.most if self.is_open else self.least <= value <= self.most

    def __str__(self) -> str:
        if self.least == -math.inf:
            return "finite"
        if self.most == math.inf:
            return f"{'above' if self.is_open else 'at least'} {_shown(self.least)}"
        words = ("between", "and") if self.is_open else ("from", "to")
        return f"{words[0]} {_shown(self.least)} {words[1]} {_shown(self.most)}"


def _shown(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


Count = Annotated[int, Range(1)]
Whole = Annotated[int, Range(0)]
Seed = Annotated[int, Range(0, 2**63 - 1)]
"""Leaves room above: generators take seeds up to 2^64, and lessons derive the seeds of batches and repetitions by adding to this one."""
Positive = Annotated[float, Range(0, is_open=True)]
NonNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
Real = Annotated[float, Range(-math.inf)]
Device = Annotated[str, "a device that is there"]


def _ranges(hint: Any) -> Iterator[Range]:
    """Yield the ranges in a type: Annotated[int, Range(1)], or a tuple of such."""
    if get_origin(hint) is Annotated:
        yield from (mark for mark in hint.__metadata__ if isinstance(mark, Range))
    elif get_origin(hint) in (tuple, Union, types.UnionType):
        for part in get_args(hint):
            yield from _ranges(part)


def _choices(hint: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the values of a Literal, or of those in a tuple."""
    if get_origin(hint) is Literal:
        yield get_args(hint)
    elif get_origin(hint) is tuple:
        for part in get_args(hint):
            yield from _choices(part)


def _misfit(value: Any, hint: Any) -> str:
    """Return what a type expects in place of a value, in words; the empty string if the value fits."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _misfit(value, parts[0])
    if origin in (Union, types.UnionType):
        found = [_misfit(value, part) for part in parts]
        return " or ".join(found) if all(found) else ""
    if origin is tuple:
        if not isinstance(value, tuple):
            return "several values"
        each = [parts[0]] * len(value) if parts[-1] is ... else parts
        return next(filter(None, map(_misfit, value, each)), "")
    for kind, accepted, words in (
        (bool, bool, "true or false"), (int, Integral, "a whole number"), (float, RealNumber, "a number"), (str, str, "a text"),
        (type(None), type(None), "nothing"),
    ):  # fmt: skip
        if hint is kind and (not isinstance(value, accepted) or isinstance(value, bool) > (kind is bool)):
            return words
    return ""


def option(name: str) -> str:
    """Return the command line's name of a setting.

    Example:
        >>> option("batch_size")
        '--batch-size'
    """
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True)
class Checked:
    """A dataclass whose values are checked against their types, ranges and choices as soon as it is made.

    Raises:
        ValueError: a number is out of its range, a word is not among the choices, or a value is of another type; the message names
            the option.

    Example:
        >>> @dataclass(frozen=True)
        ... class Sizes(Checked):
        ...     hidden: tuple[Count, ...] = (8,)
        >>> Sizes((8, 0))
        Traceback (most recent call last):
        ValueError: --hidden: 0 must be at least 1
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if hints[field.name] == Device:
                try:
                    module_of(value)
                except (ValueError, RuntimeError) as error:
                    raise ValueError(f"{option(field.name)} {value}: {error}") from None
            for choices in _choices(hints[field.name]):
                for choice in value if isinstance(value, tuple) else (value,):
                    if choice not in choices:
                        names = ", ".join(map(str, choices))
                        raise ValueError(f"{option(field.name)}: {choice} is not one of {names}")
            for accepted in _ranges(hints[field.name]):
                for number in value if isinstance(value, tuple) else (value,):
                    if number is not None and number not in accepted:
                        raise ValueError(f"{option(field.name)}: {number} must be {accepted}")
            if expected := _misfit(value, hints[field.name]):
                raise ValueError(f"{option(field.name)}: {value!r:.100} is not {expected}")


def read_number(kind: type[int] | type[float], text: str) -> int | float:
    """Return the number that a word stands for. The plain int and float take 1_000, nan and digits of other scripts, too.

    Raises:
        ValueError: the word is not a number of this kind, as it is written on paper.

    Example:
        >>> read_number(int, "12"), read_number(float, "1e-3")
        (12, 0.001)
        >>> read_number(int, "1_000")
        Traceback (most recent call last):
        ValueError: '1_000' is not a whole number
    """
    what, pattern = (
        ("a whole number", r"[+-]?[0-9]+")
        if kind is int
        else ("a number", r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
    )
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{text!r} is not {what}")
    return kind(text)


def optional(kind: type, metavar: str) -> tuple[Any, ...]:
    """Mark a setting that is None where its option is not given: `Annotated[Path | None, *optional(Path, "FILE")]`.

    Args:
        kind: int, float, or a type that makes the value of the option's word.
        metavar: stands for the value in the help.

    Example:
        >>> spec, _ = optional(Path, "FILE")
        >>> spec.metavar, spec.is_instance(None)
        ('FILE', True)
    """

    def read(words: list[str]) -> Any:
        if kind is Path and not words[0]:
            raise ValueError("the name is empty; a single dot stands for the current folder")
        return read_number(kind, words[0]) if kind in (int, float) else kind(words[0])

    spec = PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, kind),
        str_from_instance=lambda value: ["" if value is None else str(value)],
    )
    return spec, arg(help_behavior_hint="")


_at_most_one = create_mutex_group(required=False, title="what to do with the run in --out")


@dataclass(frozen=True, kw_only=True)
class OutputOptions(Checked):
    """Where results go and how they are drawn."""

    out: Path = Path("runs")  # folder for all that is written
    format: Literal["png", "svg", "pdf"] = "png"  # of the pictures
    no_plots: bool = False  # draw nothing


@dataclass(frozen=True, kw_only=True)
class RunOptions(OutputOptions):
    """Where to compute and where results go."""

    device: Device = "cpu"  # cpu or gpu: where to compute
    resume: Annotated[bool, _at_most_one] = False
    """continue where it stopped, to the same result, bit for bit, as an uninterrupted run; with more --steps, go further"""
    overwrite: Annotated[bool, _at_most_one] = False
    """replace it"""
    evaluate: Annotated[Path | None, _at_most_one, *optional(Path, "RUN")] = None
    """train nothing: measure and draw the finished run in the folder RUN again, there and with its own settings"""


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(RunOptions):
    """Where to compute and where results go."""

    sample: Annotated[int | None, Range(1, 1_000_000), _at_most_one, *optional(int, "N")] = None
    """train nothing: draw N samples from the run in --out"""


@dataclass(frozen=True, kw_only=True)
class Settings(Checked):
    """Settings common to all lessons. A lesson with run options of its own sets `run` to a subclass of `OutputOptions`."""

    seed: Seed = 0  # of weights, noise and data; the same seed gives the same result
    run: OutputOptions = OutputOptions()

    def configuration(self) -> dict[str, Any]:
        """Return what makes a run what it is, by name: all settings but `run`."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "run"}


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """Settings common to all lessons that train a model."""

    steps: Count = 1000  # steps of the optimizer
    run: RunOptions = RunOptions()

    def configuration(self) -> dict[str, Any]:
        """Return what makes a run what it is: all settings but `run`, and but `steps`, which may grow when it is resumed."""
        return {name: value for name, value in super().configuration().items() if name != "steps"}
