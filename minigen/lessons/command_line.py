"""The command line of a lesson, which its settings describe."""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from minigen.lessons.settings import Settings, option, optional, read_number

S = TypeVar("S", bound=Settings)

CONFIG = (OmitArgPrefixes, FlagCreatePairsOff)
_registry = ConstructorRegistry()


@_registry.primitive_rule
def _number_or_path(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Return how tyro reads a number (by `read_number`) or a path (which must not be empty), or None for any other type."""
    kind = info.type
    if kind is Path:
        return optional(Path, "PATH")[0]
    if kind not in (int, float):
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=lambda words: read_number(kind, words[0]),
        is_instance=lambda value: isinstance(value, kind),
        str_from_instance=lambda value: [f"{value:g}" if isinstance(value, float) else str(value)],
    )


def read_command_line(
    defaults: Callable[..., S], words: Sequence[str] | None = None, *, name: str = "run", description: str | None = None
) -> S:
    """Return the settings that a command line asks for.

    It is read twice. First only the options that `defaults` takes as arguments are looked for, which yields the defaults of all others; so
    `--data mnist --help` shows those of MNIST.

    Args:
        defaults: a settings class; or a function that returns settings, given the options on which other defaults depend, such as `data`.
        words: of the command line; None for this program's.
        name: of the program; its results go to a folder of that name in `runs/` unless --out names another.
        description: stands above the options in `--help`.

    Raises:
        SystemExit: 2 after a sentence on what is wrong, or 0 after `--help`.

    Example:
        >>> from minigen.lessons.settings import TrainingSettings
        >>> read_command_line(TrainingSettings, ["--steps", "5", "--no-plots"]).steps
        5
    """
    words = list(sys.argv[1:] if words is None else words)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal may not know a letter of the help
    default = _defaults(defaults, words)
    if description and {"-h", "--help"} & set(words):
        print(description)  # as it stands; tyro would break its lines anew
    default = replace(default, run=replace(default.run, out=Path("runs") / name))
    return tyro.cli(type(default), default=default, args=words, description="", config=CONFIG, registry=_registry)


def _defaults(defaults: Callable[..., S], words: list[str]) -> S:
    """Return the settings that hold where the command line says nothing else."""
    if isinstance(defaults, type):
        return defaults()
    try:
        found, _ = tyro.cli(
            defaults, args=words, return_unknown_args=True, add_help=False, config=CONFIG, registry=_registry
        )
    except ValueError:
        return defaults()  # the second reading will meet the same mistake, and print it
    # A flag that is set in a default could not be set again.
    flags: Any = {field.name: field.default for field in fields(found) if isinstance(field.default, bool)}
    return replace(found, **flags)


def given(settings: Settings, defaults: Callable[..., Settings]) -> list[str]:
    """Return the names of the settings that differ from those of a command line that says nothing; those in `run` are ignored.

    Args:
        settings: from a command line.
        defaults: as for `read_command_line`.

    Example:
        >>> from minigen.lessons.settings import TrainingSettings
        >>> given(TrainingSettings(seed=3), TrainingSettings)
        ['seed']
    """
    plain, implied, chosen = _expected(settings, defaults)
    return [
        field.name
        for field in fields(settings)
        if field.name != "run"
        and getattr(settings, field.name) != getattr(plain if field.name in chosen else implied, field.name)
    ]


def _expected(settings: S, defaults: Callable[..., S]) -> tuple[S, S, dict[str, Any]]:
    """Return the defaults; the defaults that follow from the options on which others depend; and the values of these options."""
    chosen = (
        {} if isinstance(defaults, type) else {key: getattr(settings, key) for key in signature(defaults).parameters}
    )
    return defaults(), defaults(**chosen), chosen


def command_of(settings: Settings, defaults: Callable[..., Settings], *, name: str) -> str:
    """Return the command that gives these settings, with the options that differ from their defaults.

    Of the run options, it includes only those that the lesson itself adds, such as the number of draws for measuring.

    Args:
        settings: of a run.
        defaults: as for `read_command_line`.
        name: of the program.

    Example:
        >>> from minigen.lessons.settings import TrainingSettings
        >>> command_of(TrainingSettings(seed=3), TrainingSettings, name="vae")
        'python examples/vae.py --seed 3'
    """
    _, implied, _ = _expected(settings, defaults)
    shared = [
        kind for kind in type(settings.run).__mro__ if kind.__module__.startswith("minigen.") and is_dataclass(kind)
    ]
    general = {field.name for kind in shared for field in fields(kind)}  # --out, --device, --data-dir and the like
    own = [field.name for field in fields(settings.run) if field.name not in general]
    differing = [(name, getattr(settings, name)) for name in given(settings, defaults)]
    differing += [(name, value) for name in own if (value := getattr(settings.run, name)) != getattr(implied.run, name)]
    words = ["python", f"examples/{name}.py"]
    for setting, value in differing:
        word = option(f"no_{setting}" if value is False else setting)
        parts = (
            [] if isinstance(value, bool) else [str(part) for part in (value if isinstance(value, tuple) else (value,))]
        )
        if len(parts) == 1 and parts[0].startswith("-"):
            words.append(shlex.quote(f"{word}={parts[0]}"))  # so that the value is not taken for an option
        else:
            words += [word, *map(shlex.quote, parts)]
    return " ".join(words)
