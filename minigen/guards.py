"""Blocks such as `with no_grad():`, which set something for a while and put it back, and a lock for what several threads share.

A context manager of `contextlib.contextmanager` can be entered once. If it decorates a generator function, it ends before the first line
of the function runs, since the call only makes the generator. A `Guard` has neither limit. And where all threads share a setting, blocks
may overlap, and the one that began first may end first: it must not put back what the other still needs.
"""

import functools
import inspect
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, ParamSpec, TypeVar

Given = TypeVar("Given")
Signature = ParamSpec("Signature")


class Guard(Generic[Given]):
    """A block that may be entered any number of times: again, inside itself, and by several threads.

    As a decorator it runs the function inside the block; a generator function runs in it whenever it is resumed, and what its caller does
    in between is outside.

    Args:
        name: what error messages call it.
        opened: returns a context manager for one entry.

    Raises:
        TypeError: it decorates something that is not a function, or an async function: other tasks would run inside the block.
        RuntimeError: a block is left in a thread in which it was not entered.

    Example:
        >>> from minigen.engine import is_debugging, debug
        >>> block = debug()
        >>> with block, block:
        ...     is_debugging()
        True
        >>> @block
        ... def modes():
        ...     yield is_debugging()
        >>> list(modes()), is_debugging()
        ([True], False)
    """

    def __init__(self, name: str, opened: Callable[[], AbstractContextManager[Given]]) -> None:
        self._name = name
        self._opened = opened
        self._entered: dict[int, list[AbstractContextManager[Given]]] = {}  # by thread

    def __enter__(self) -> Given:
        entry = self._opened()
        given = entry.__enter__()
        self._entered.setdefault(threading.get_ident(), []).append(entry)
        return given

    def __exit__(self, *error: Any) -> bool | None:
        thread = threading.get_ident()
        entries = self._entered.get(thread)
        if not entries:
            raise RuntimeError(f"{self._name}: the block is left in a thread in which it was not entered")
        entry = entries.pop()
        if not entries:
            del self._entered[thread]
        return entry.__exit__(*error)

    def __call__(self, function: Any) -> Any:
        """Return a function that runs the given one inside the block."""
        if isinstance(function, staticmethod | classmethod):
            return type(function)(self(function.__func__))
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{self._name}: {function.__name__} is an async function, and other tasks would run inside the block while it waits; "
                f"inside the function, put the lines between two awaits into a `with` block"
            )
        if isinstance(function, type) or not callable(function):
            kind = "a class" if isinstance(function, type) else f"an object of type {type(function).__name__}"
            raise TypeError(f"{self._name}: only a function can be decorated, not {kind}")
        if inspect.isgeneratorfunction(function):
            return self._resuming(function)

        @functools.wraps(function)
        def guarded(*arguments: Any, **keywords: Any) -> Any:
            with self._opened():
                return function(*arguments, **keywords)

        return guarded

    def _resuming(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a generator function that runs each resumption of the given one inside a block of its own."""

        @functools.wraps(function)
        def guarded(*arguments: Any, **keywords: Any) -> Any:
            generator = function(*arguments, **keywords)
            resume, value = generator.send, None
            while True:
                with self._opened():
                    try:
                        result = resume(value)
                    except StopIteration as end:
                        return end.value
                try:
                    resume, value = generator.send, (yield result)
                except GeneratorExit:
                    with self._opened():
                        generator.close()
                    raise
                except BaseException as error:  # thrown in by the caller; the generator may handle it
                    resume, value = generator.throw, error

        return guarded


def guard(function: Callable[Signature, Iterator[Given]]) -> Callable[Signature, Guard[Given]]:
    """Turn a function that yields once into one that returns guards; the block runs at the `yield`.

    It is `contextlib.contextmanager` without its limits.

    Example:
        >>> @guard
        ... def spoken(text):
        ...     print(text, "begins")
        ...     yield
        ...     print(text, "ends")
        >>> block = spoken("it")
        >>> for _ in range(2):
        ...     with block:
        ...         pass
        it begins
        it ends
        it begins
        it ends
    """
    entry = contextmanager(function)

    @functools.wraps(function)
    def made(*arguments: Signature.args, **keywords: Signature.kwargs) -> Guard[Given]:
        return Guard(function.__name__, functools.partial(entry, *arguments, **keywords))

    return made


def process_guard(function: Callable[[], Iterator[None]]) -> Callable[[], Guard[None]]:
    """Turn a function that changes a setting of the whole process into one that returns guards.

    The setting holds from the beginning of the first block to the end of the last: blocks may be nested, and may overlap in threads. The
    function runs again when a block begins while no other is open.

    Example:
        >>> @process_guard
        ... def spoken():
        ...     print("begins")
        ...     yield
        ...     print("ends")
        >>> with spoken(), spoken():
        ...     pass
        begins
        ends
    """
    blocks = 0
    running: AbstractContextManager[None]

    @guard
    @functools.wraps(function)
    def shared() -> Iterator[None]:
        nonlocal blocks, running
        with exclusive():
            if not blocks:
                running = contextmanager(function)()
                running.__enter__()
            blocks += 1
        try:
            yield
        finally:
            with exclusive():
                blocks -= 1
                if not blocks:
                    running.__exit__(None, None, None)

    return shared


_former: dict[tuple[int, str], list[list[Any]]] = {}
"""By object and attribute: for each block that is running, oldest first, the value to be put back."""


@contextmanager
def attribute_set(objects: Sequence[Any], name: str, value: Any) -> Iterator[None]:
    """Give an attribute of some objects a value inside the block; afterwards each object has its own again.

    Blocks may overlap in threads: if the first to begin is the first to end, it leaves it to the other to put the former values back.

    Args:
        objects: each has the attribute.
        name: of the attribute.
        value: for all of them.

    Example:
        >>> from types import SimpleNamespace
        >>> thing = SimpleNamespace(mode="fast")
        >>> with attribute_set([thing], "mode", "slow"):
        ...     thing.mode
        'slow'
        >>> thing.mode
        'fast'
    """
    with exclusive():
        mine = []
        for thing in objects:
            entry = [getattr(thing, name)]
            _former.setdefault((id(thing), name), []).append(entry)
            mine.append((thing, entry))
            setattr(thing, name, value)
    try:
        yield
    finally:
        with exclusive():
            for thing, entry in mine:
                entries = _former[id(thing), name]
                place = next(i for i, other in enumerate(entries) if other is entry)
                if place + 1 < len(entries):
                    entries[place + 1][0] = entry[0]
                else:
                    setattr(thing, name, entry[0])
                del entries[place]
                if not entries:
                    del _former[id(thing), name]


_lock = threading.RLock()


def exclusive() -> AbstractContextManager[Any]:
    """Return the lock for the few lines that read and advance what threads share: a generator's counter, a place in an epoch.

    All objects share one lock, so that they can be copied and pickled. The thread that holds it may take it again.

    Example:
        >>> with exclusive(), exclusive():
        ...     pass
    """
    return _lock


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # a thread that held it does not exist in the child
    os.register_at_fork(after_in_child=_renew_lock)
