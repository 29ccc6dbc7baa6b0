"""Reverse-mode automatic differentiation, whole, in one file.

A `Tensor` is an array that may remember how it was made. A `Primitive` is a function on arrays together with one *vjp* (vector-Jacobian
product) per argument. Calling a primitive on Tensors computes the output and leaves a `Node` that points to the nodes of the arguments.
Read backwards, the nodes are the chain rule: for y = f(x) and a scalar L,

    dL/dx = (dL/dy) (dy/dx) = vjp(dL/dy),

so one walk from the output to the leaves, in falling order of creation, carries the cotangent dL/dy of every node to its parents
(Griewank & Walther 2008, "Evaluating Derivatives", chapter 3; Baydin et al. 2018, "Automatic differentiation in machine learning").

A vjp is written in minigen's own operations. Those compute on whatever they are given: on arrays they return arrays and record
nothing, which is an ordinary backward pass; on Tensors they record, which is a backward pass that can itself be differentiated. So
`grad(..., create_graph=True)` needs no second set of rules.

Order of the file: modes, Storage and Tensor, Node, Primitive, the walk (`backward`, `grad`), and the two primitives that the walk
itself needs.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, ParamSpec, TypeAlias

import numpy as np

from minigen import diagnosis
from minigen.backend import Array, array_module, device_of
from minigen.binding import Binding
from minigen.guards import Guard
from minigen.interchange import Interchange
from minigen.operators import Operators, table

if TYPE_CHECKING:
    from jaxtyping import Num, Shaped

Signature = ParamSpec("Signature")


# ---------------------------------------------------------------------------------------------------------------- modes


class _Mode(threading.local):
    recording = True
    debugging = False


_mode = _Mode()


@contextmanager
def _switched(switch: str, value: bool) -> Iterator[None]:
    previous = getattr(_mode, switch)
    setattr(_mode, switch, value)
    try:
        yield
    finally:
        setattr(_mode, switch, previous)


def no_grad(function: Any = None) -> Any:
    """Compute without recording a graph, inside `with no_grad():` or in a function decorated with `@no_grad`, also a generator function.

    Args:
        function: the function to decorate; None for a block, which may be entered any number of times and may also decorate.

    Example:
        >>> x = Tensor(np.ones(2), requires_grad=True)
        >>> with no_grad():
        ...     (x + x).requires_grad
        False
        >>> @no_grad
        ... def doubled(x):
        ...     return x + x
        >>> doubled(x).requires_grad
        False
    """
    block = Guard("no_grad", functools.partial(_switched, "recording", False))
    return block if function is None else block(function)


def debug(function: Any = None) -> Any:
    """Remember where every node was made, and stop at the first value that is not finite, forward or backward.

    A node made in this mode also keeps its inputs and its output, which `plots.graph` shows. It is slow; outside `with debug():` the
    mode costs one test of a flag per operation.

    Args:
        function: the function to decorate; None for a block, as in `no_grad`.

    Raises:
        FloatingPointError: inside the block, at the first operation whose result holds a NaN or an infinity.

    Example:
        >>> with debug():
        ...     Tensor(np.array([1e30], np.float32)) + np.array([np.inf], np.float32)
        Traceback (most recent call last):
        FloatingPointError: add: output has 1 of 1 values not finite (first at (0,): inf); from a (1,) float32 in [1e+30, 1e+30], ...
    """
    block = Guard("debug", functools.partial(_switched, "debugging", True))
    return block if function is None else block(function)


def is_debugging() -> bool:
    """Return whether a `debug()` block is running, in which checks may wait for the GPU.

    Example:
        >>> with debug():
        ...     is_debugging()
        True
    """
    return _mode.debugging


# --------------------------------------------------------------------------------------------------------------- Tensor


class Storage:
    """What a leaf and all views of its memory share: a name, and the number of in-place writes so far.

    A node that saved a value remembers the number, and so knows at backward whether the value is still the one it saw. Memory that an
    operation computed is saved without such a number. So a constant that `detach` makes from it, `is_computed`, may never be written to.
    """

    __slots__ = ("is_computed", "name", "shape", "version")

    def __init__(self, name: str, shape: tuple[int, ...], is_computed: bool = False) -> None:
        self.name = name
        self.shape = shape
        self.version = 0
        self.is_computed = is_computed


class Tensor(Operators, Interchange):
    """An array that takes part in differentiation.

    `minigen.tensor` makes one from lists, numbers and arrays; this constructor wraps an array as it is, without a copy.

    Args:
        data: a NumPy or CuPy array.
        requires_grad: gradients are wanted with respect to this tensor; it must hold floating-point values.

    Attributes:
        data: the array.
        grad: a Tensor, the gradient that `backward` summed into this leaf, or None where none was written.
        requires_grad: True for a leaf that asked for gradients and for all that was computed from it.
        storage: the name and version of a leaf's memory, shared with its views; None for what was computed afresh.

    Example:
        >>> x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
        >>> (x + x).backward(np.array([1.0, 10.0]))
        >>> x.grad.data
        array([ 2., 20.])
    """

    __slots__ = ("__weakref__", "_grad_memory", "data", "grad", "node", "requires_grad", "storage")

    def __init__(self, data: Array, requires_grad: bool = False, node: Node | None = None, name: str = "") -> None:
        if requires_grad and getattr(data, "dtype", np.dtype(object)).kind != "f":
            found = getattr(data, "dtype", f"a {type(data).__name__} (mg.tensor makes a Tensor of it)")
            raise TypeError(
                f"Tensor: a gradient needs floating-point values, not {found}; convert integers first, e.g. by x.astype('float32')"
            )
        self.data = data
        self.node = node
        self.requires_grad = requires_grad or node is not None
        self.grad: Tensor | None = None
        self._grad_memory: Array | None = None
        self.storage = Storage(name, data.shape) if node is None else None

    @property
    def name(self) -> str:
        """What error messages and pictures call a leaf."""
        return self.storage.name if self.storage else ""

    @name.setter
    def name(self, name: str) -> None:
        if self.storage is None:
            raise AttributeError("name: only a leaf has a name; this tensor was computed by an operation")
        self.storage.name = name

    @property
    def version(self) -> int:
        """The number of in-place writes to a leaf so far; `backward` refuses a graph that saved an older one."""
        return self.storage.version if self.storage else 0

    def detach(self) -> Tensor:
        """Return the same array as a constant: no gradient flows through it."""
        constant = Tensor(self.data)
        constant.storage = self.storage or Storage("", self.shape, is_computed=True)
        return constant

    def assign(self, values: Array) -> None:
        """Overwrite the values of a leaf in place and raise its version.

        Args:
            values: an array of the same shape, on the same device.

        Raises:
            RuntimeError: an operation computed this tensor or the one from which it was detached: a graph may have saved the values.
            ValueError: the shapes differ.
        """
        if self.node is not None:
            raise RuntimeError("assign(): this tensor was computed by an operation; only a leaf can be overwritten")
        self._check_writable("assign")
        if values.shape != self.shape:
            raise ValueError(f"assign(): the tensor has shape {self.shape}, the values {values.shape}")
        self.data[...] = values
        self.mark_written()

    def mark_written(self) -> None:
        """Record that the memory was overwritten: graphs that saved the former values can no longer run backward.

        Raises:
            RuntimeError: an operation computed the values, and graphs keep no count of writes to such memory.
        """
        self._check_writable("mark_written")
        if self.storage is not None:
            self.storage.version += 1

    def _check_writable(self, caller: str) -> None:
        if self.storage is None or self.storage.is_computed:
            raise RuntimeError(
                f"{caller}(): an operation computed these values, and a graph may have saved them; write into a copy, mg.tensor(x.data)"
            )

    # -- gradients

    def backward(
        self,
        cotangent: TensorLike | float | None = None,
        *,
        inputs: Tensor | Sequence[Tensor] | None = None,
        retain_graph: bool = False,
    ) -> None:
        """Sum the gradient of this tensor into the `.grad` of the leaves that it was computed from.

        Args:
            cotangent: dL/d(self), same shape; may be left out for a scalar, where it is 1.
            inputs: the leaf or leaves that are wanted (default: all); gradients of other leaves are not computed.
            retain_graph: keep what the graph saved, so that a second backward can run.

        Raises:
            RuntimeError: nothing here requires grad, a cotangent is missing, or the graph was freed before.

        Example:
            >>> x = Tensor(np.array(3.0), requires_grad=True)
            >>> (x + x).backward()
            >>> x.grad.item()
            2.0
        """
        if isinstance(inputs, Tensor):
            inputs = [inputs]
        for leaf in inputs or ():
            if leaf.node is not None or not leaf.requires_grad:
                raise ValueError(
                    "backward: inputs must be leaves that require grad; for other tensors use minigen.grad"
                )
        wanted: set[Edge] | None = None if inputs is None else set(inputs)
        cotangents = None if cotangent is None else [cotangent]
        gradients = _pull_back("backward", [self], cotangents, wanted, create_graph=False, retain_graph=retain_graph)
        for leaf, gradient in gradients.items():
            leaf._add_gradient(gradient)

    def write_grad_into(self, memory: Array | None) -> None:
        """Forget the gradient, and let the next one be written into `memory`, for an optimizer that keeps all gradients in one vector.

        Args:
            memory: an array of this tensor's shape, dtype and device; None for memory of its own.

        Example:
            >>> gradients = np.zeros(5)
            >>> x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
            >>> x.write_grad_into(gradients[:2])
            >>> (x + x).backward(np.ones(2))
            >>> gradients
            array([2., 2., 0., 0., 0.])
        """
        self.grad = None
        self._grad_memory = memory

    def _add_gradient(self, gradient: Array) -> None:
        """Add to `.grad`, which always owns its memory: a vjp may have handed one array to several leaves."""
        former = self.grad
        if former is None and self._grad_memory is not None:
            self._grad_memory[...] = gradient
            self.grad = Tensor(self._grad_memory)
        elif former is None:
            self.grad = Tensor(gradient.copy())
        elif not isinstance(former, Tensor) or former.shape != self.shape:
            found = f"of shape {former.shape}" if isinstance(former, Tensor) else f"a {type(former).__name__}"
            raise TypeError(
                f"backward: the gradient is to be added to the .grad of a leaf of shape {self.shape}, but the .grad that was "
                f"assigned is {found}; assign a Tensor of the leaf's shape, or None"
            )
        elif former.data is self._grad_memory:
            former.data += gradient
        else:  # the user may have assigned it, to another leaf too
            self.grad = Tensor(former.data + gradient)


TensorLike: TypeAlias = Tensor | Array
"""What a primitive accepts: a Tensor, or an array of the same device. Elementwise ones also take Python numbers."""


# ----------------------------------------------------------------------------------------------------------------- Node


class Node:
    """One recorded operation: where its cotangent goes next, and what its vjps need on the way.

    `saved` holds exactly what the vjps that it runs name in their signatures, under those names.

    A node holds its parents and arrays, never its own output Tensor: references run from outputs to inputs only, so a graph is freed
    by reference counting as soon as its output is dropped. An edge leads to the parent's node or, where the parent is a leaf, to that
    leaf itself; it is None where no gradient is wanted.
    """

    __slots__ = ("dtype", "parents", "plan", "primitive", "record", "saved", "sequence", "shape", "versions")

    def __init__(
        self, primitive: Primitive, plan: Plan, parents: list[Edge | None], saved: dict[str, Any], output: Array
    ) -> None:
        self.sequence = _next_sequence()
        self.primitive = primitive
        self.plan = plan
        self.parents = parents
        self.saved: dict[str, Any] | None = saved
        self.shape = output.shape
        self.dtype = output.dtype
        self.versions: Sequence[tuple[Storage, int]] = ()
        self.record: Record | None = None

    def saved_on_graph(self) -> dict[str, Any]:
        """Return `saved` with the arguments and the output as Tensors in their places in the graph."""

        def placed(value: Any, edge: Edge | None) -> Any:
            return Tensor(value, False, edge) if isinstance(edge, Node) else value if edge is None else edge

        saved = dict(self.saved or {})
        for name, edge in zip(self.primitive.arguments, self.parents, strict=False):
            if name in saved:
                saved[name] = placed(saved[name], edge)
        variadic = self.primitive.variadic
        if variadic in saved:
            saved[variadic] = tuple(map(placed, saved[variadic], self.parents[len(self.primitive.arguments) :]))
        if "out" in saved:
            saved["out"] = Tensor(saved["out"], False, self)
        return saved


Edge: TypeAlias = Node | Tensor

_next_sequence = itertools.count().__next__
_ADMITTED = {np.ndarray, float, int, bool, NoneType}  # what needs no closer look; CuPy's arrays do


class Record(NamedTuple):
    """What the debug mode remembers of a node: the line that made it, and all that went in and out."""

    output: Array
    inputs: Sequence[Any]
    origin: str


# ------------------------------------------------------------------------------------------------------------ Primitive


class Pull(NamedTuple):
    """One vjp that a node runs: `vjp(cotangent, *take(saved))` is the cotangent of the argument at `position`."""

    position: int
    vjp: Callable[..., Any]
    take: Callable[[dict[str, Any]], Sequence[Any]]


class Plan(NamedTuple):
    """What a primitive does for one pattern of arguments that require grad; made once, at the first call of that pattern."""

    pulls: list[Pull]
    # What a node saves: values and shapes, each by its name and its place among arguments, output and residuals; and keywords by name.
    keeps: list[tuple[str, int]]
    shapes: list[tuple[str, int]]
    keywords: list[str]
    watched: list[int]  # the positions of the arguments whose values are saved


class Primitive(Generic[Signature]):
    """A function on raw arrays with one vjp for each of its array arguments.

    The forward takes its arrays positionally and everything else by keyword. A vjp takes the cotangent of the output first and then
    *names* what else it needs; a node keeps that and nothing more:

        an argument's name      its value             a residual's name       what the forward returned after the output
        `<argument>_shape`      its shape only        a keyword's name        the keyword's value
        `out`                   the output            `position`              which of the arrays of `*arrays` is meant

    A vjp uses only minigen's operations and Python's operators, so it runs on arrays and on Tensors alike. A residual is outside the
    graph: a vjp may only hand it to a backward primitive, whose own vjps start again from the differentiable inputs.

    Args:
        forward: the function on arrays.
        broadcasts: the arguments broadcast against each other; the engine sums each cotangent back to its argument's shape.
        residuals: the names of further values that the forward returns after the output.
        is_view: the output may share the memory of the first argument.

    Example:
        >>> @primitive()
        ... def cube(x):
        ...     return x**3
        >>> cube.vjp(x=lambda g, x: 3 * g * x**2)
        >>> x = Tensor(np.array(2.0), requires_grad=True)
        >>> grad(cube(x), x).item()
        12.0
        >>> _ = Primitive.registry.pop("cube")
    """

    registry: ClassVar[dict[str, Primitive]] = {}

    def __init__(
        self,
        forward: Callable[Signature, Any],
        *,
        broadcasts: bool = False,
        residuals: tuple[str, ...] = (),
        is_view: bool = False,
    ) -> None:
        functools.update_wrapper(self, forward)
        self.name = forward.__name__
        self.forward: Callable[..., Any] = forward
        self.broadcasts = broadcasts
        self.residuals = residuals
        self.is_view = is_view
        self.vjps: dict[str, Callable[..., Any] | None] = {}
        self.joint: Callable[..., Any] | None = None
        self.fused: Callable[..., Any] | None = None
        self.plans: dict[tuple[bool, ...], Plan] = {}
        self.binding = Binding(forward)
        self.arguments, self.variadic, self.keywords = (
            self.binding.arguments,
            self.binding.variadic,
            self.binding.keywords,
        )
        self.places = len(self.arguments)
        Primitive.registry[self.name] = self

    def __reduce__(self) -> str:
        return self.forward.__qualname__  # copied and pickled as the function that it is

    def vjp(self, **vjps: Callable[..., Any] | None) -> None:
        """Register the vjp of each argument under the argument's name.

        None says that no gradient flows: the argument is an index or a mask, or the output is constant in it piece by piece. A gradient
        that is asked for and was not registered raises.
        """
        self.vjps = vjps
        self.plans.clear()

    def joint_vjp(self, joint: Callable[..., Any]) -> Callable[..., Any]:
        """Register one vjp for all arguments, for gradients that come out of one pass; may be used as a decorator.

        It takes what a vjp takes and returns a tuple with a cotangent for each array argument, None where no gradient flows. Recurrent
        networks and attention have such ones.

        Example:
            >>> @primitive()
            ... def product(a, b):
            ...     return a * b
            >>> @product.joint_vjp
            ... def _(g, a, b):
            ...     return g * b, g * a
            >>> a, b = (Tensor(np.array(n), requires_grad=True) for n in (2.0, 3.0))
            >>> [slope.item() for slope in grad(product(a, b), [a, b])]
            [3.0, 2.0]
            >>> _ = Primitive.registry.pop("product")
        """
        self.joint = joint
        self.plans.clear()
        return joint

    def fused_vjp(self, fused: Callable[..., Any]) -> Callable[..., Any]:
        """Register a vjp that replaces the joint one where the backward pass is not recorded; may be used as a decorator.

        It is given raw arrays, so it may call kernels that compute all gradients in one pass. The joint vjp, composed of operations, runs
        in a backward pass under `create_graph=True`. The two must return the same gradients, but may compute them differently.

        Example:
            >>> @primitive()
            ... def product(a, b):
            ...     return a * b
            >>> _ = product.joint_vjp(lambda g, a, b: (g * b, g * a))
            >>> @product.fused_vjp
            ... def _(g, a, b):
            ...     return tuple(g * np.stack([b, a]))
            >>> a, b = (Tensor(np.array(n), requires_grad=True) for n in (2.0, 3.0))
            >>> [slope.item() for slope in grad(product(a, b), [a, b])]
            [3.0, 2.0]
            >>> _ = Primitive.registry.pop("product")
        """
        if self.joint is None:
            raise RuntimeError(f"{self.name}: a fused vjp takes the place of the joint one; register that one first")
        self.fused = fused
        self.plans.clear()
        return fused

    def __call__(self, *arguments: Signature.args, **keywords: Signature.kwargs) -> Any:
        """Compute the output: a Tensor, recorded where it has to be, or an array if no argument is a Tensor.

        An array may also be given by name, and a keyword by position after the arrays; see `Binding`.
        """
        if len(arguments) != self.places and self.variadic is None:
            arguments, keywords = self.binding.bind(self.name, arguments, keywords)  # type: ignore[assignment]
        has_tensor = False
        arrays: list[Any] = []
        for argument in arguments:
            if isinstance(argument, Tensor):
                has_tensor = True
                argument = argument.data
            elif type(argument) not in _ADMITTED and device_of(argument) is None:
                raise TypeError(diagnosis.not_admitted(self.name, argument))
            arrays.append(argument)
        try:
            out = self.forward(*arrays, **keywords)
        except FloatingPointError:
            out = without_underflow(self.forward, *arrays, **keywords)
        except (AttributeError, ValueError, TypeError, IndexError, MemoryError) as error:
            raise diagnosis.explained(error, self.name, self._names(arrays), arrays, keywords, self.keywords) from error
        residuals: Sequence[Any] = ()
        if self.residuals:
            out, *residuals = out
        if type(out) is not np.ndarray and isinstance(out, np.generic):
            out = np.asarray(out)
        debugging = _mode.debugging
        if debugging:
            diagnosis.check_finite(f"{self.name}: output", out, self._names(arrays), arrays, diagnosis.origin())
        if not has_tensor:
            return out
        result = self._recorded(arguments, arrays, out, residuals, keywords)
        if debugging and result.node is not None:
            result.node.record = Record(out, arrays, diagnosis.origin())
        return result

    def _recorded(
        self,
        arguments: Sequence[Any],
        arrays: Sequence[Any],
        out: Array,
        residuals: Sequence[Any],
        keywords: dict[str, Any],
    ) -> Tensor:
        """Wrap the output in a Tensor, on a new node if gradients are wanted."""
        edges: list[Edge | None] = []
        wanted: list[bool] = []
        has_storage = False
        for argument in arguments:
            if isinstance(argument, Tensor):
                if argument.storage is not None:
                    has_storage = True
                if argument.requires_grad:
                    wanted.append(True)
                    edges.append(argument.node or argument)  # a leaf is its own edge
                    continue
            wanted.append(False)
            edges.append(None)

        node = None
        if True in wanted and _mode.recording and out.dtype.kind == "f":
            plan = self.plans.get(tuple(wanted)) or self._make_plan(tuple(wanted))
            pulls, keeps, shapes, named, watched = plan
            if pulls:
                saved = {}
                if keeps or shapes:
                    values = [*(self._grouped(arrays) if self.variadic else arrays), out, *residuals]
                    for name, place in keeps:
                        saved[name] = values[place]
                    for name, place in shapes:
                        saved[name] = _shape_of(values[place])
                for name in named:
                    saved[name] = keywords.get(name, self.keywords[name])
                node = Node(self, plan, edges, saved, out)
                if has_storage and watched:
                    node.versions = _versions(arguments, watched)
        result = Tensor(out, False, node)
        if self.is_view:
            shared = getattr(arguments[0], "storage", None)
            result.storage = shared or (Storage("", out.shape, is_computed=True) if node is None else None)
        return result

    def _names(self, arrays: Sequence[Any]) -> list[str]:
        """Return what error messages call the arguments."""
        return [*self.arguments, *(f"{self.variadic}[{i}]" for i in range(len(arrays)))][: len(arrays)]

    # -- plans

    def _grouped(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the values of the named arguments, and those of `*arrays` as one tuple."""
        named = len(self.arguments)
        return [*arrays[:named], tuple(arrays[named:])]

    def _make_plan(self, wanted: tuple[bool, ...]) -> Plan:
        """Find the vjps to run for the arguments that are wanted, and what they name."""
        names = self.arguments[: len(wanted)] + ([self.variadic] if self.variadic else [])
        argument_of = [names[min(position, len(names) - 1)] for position in range(len(wanted))]
        values = [*names, "out", *self.residuals]
        shapes = [f"{name}_shape" for name in names]
        needed: set[str] = set()

        def needs(vjp: Callable[..., Any], of: str) -> list[str]:
            found = [name for name in _named(vjp) if name != "position"]
            known = [*values, *shapes, *self.keywords]
            unknown = [name for name in found if name not in known]
            if unknown:
                raise TypeError(f"{self.name}: the {of} asks for {unknown}; it can have {known}")
            needed.update(found)
            return found

        pulls = []
        for position in itertools.compress(range(len(wanted)), wanted):
            argument = argument_of[position]
            if self.joint is not None:
                # What the pull takes is its part of the tuple that the joint vjp returned.
                pulls.append(Pull(position, operator.itemgetter(position), _taker([])))
                continue
            if argument not in self.vjps:
                raise NotImplementedError(
                    f"{self.name}: there is no gradient with respect to {argument}; detach() it, or register a vjp"
                )
            vjp = self.vjps[argument]
            if vjp is not None:
                take = _taker(needs(vjp, f"vjp of {argument}"))
                if "position" in _named(vjp):
                    vjp = functools.partial(vjp, position=position - len(self.arguments))
                pulls.append(Pull(position, vjp, take))
        for joint, of in ((self.joint, "joint vjp"), (self.fused, "fused vjp")):
            if joint is not None:
                needs(joint, of)

        plan = Plan(
            pulls=pulls,
            keeps=[(name, place) for place, name in enumerate(values) if name in needed],
            shapes=[(name, values.index(name.removesuffix("_shape"))) for name in shapes if name in needed],
            keywords=[name for name in self.keywords if name in needed],
            watched=[position for position, argument in enumerate(argument_of) if argument in needed],
        )
        self.plans[wanted] = plan
        return plan


def primitive(
    *, broadcasts: bool = False, residuals: tuple[str, ...] = (), is_view: bool = False
) -> Callable[[Callable[Signature, Any]], Primitive[Signature]]:
    """Make a function on arrays a differentiable operation. See `Primitive`."""
    return functools.partial(Primitive, broadcasts=broadcasts, residuals=residuals, is_view=is_view)


def without_underflow(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Call a function again after a FloatingPointError, which the caller's `np.seterr` may have raised for a mere underflow.

    This time a result that is too small for its dtype is 0. Any other floating-point error is raised again.

    Example:
        >>> with np.errstate(all="raise"):
        ...     without_underflow(np.exp, -1000.0)
        np.float64(0.0)
    """
    with np.errstate(under="ignore"):
        return function(*arguments, **keywords)


def _versions(arguments: Sequence[Any], watched: list[int]) -> list[tuple[Storage, int]]:
    """Return the memory behind the saved arguments, as far as it can be overwritten, and its versions now."""
    versions = []
    for position in watched:
        storage = getattr(arguments[position], "storage", None)
        if storage is not None:
            versions.append((storage, storage.version))
    return versions


@functools.cache
def _named(vjp: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names in the signature of a vjp, after the cotangent."""
    return tuple(inspect.signature(vjp).parameters)[1:]


def _taker(names: list[str]) -> Callable[[dict[str, Any]], Sequence[Any]]:
    """Return a function that takes the values of these names out of what a node has saved."""
    if len(names) == 0:
        return lambda saved: ()
    if len(names) == 1:
        (name,) = names
        return lambda saved: (saved[name],)
    return operator.itemgetter(*names)


def _shape_of(value: Any) -> Any:
    return tuple(map(_shape_of, value)) if type(value) is tuple else getattr(value, "shape", ())


# ------------------------------------------------------------------------------------------------------------- the walk


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: TensorLike | float | Sequence[TensorLike | float] | None = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool = False,
) -> Any:
    """Return the gradients of outputs with respect to inputs, leaving every `.grad` alone.

    Args:
        outputs: one or several tensors y.
        inputs: one or several tensors x, leaves or not.
        grad_outputs: the cotangent dL/dy of each output, same shapes; may be left out where an output has one element.
        create_graph: record the computation of the gradients, so that they can be differentiated in turn.
        retain_graph: keep what the graph saved for another backward; by default as `create_graph`.
        allow_unused: return None for an input that no output depends on, instead of raising.

    Returns:
        sum over y of (dL/dy)(dy/dx): a Tensor for one input, a tuple of Tensors for a sequence.

    Example:
        >>> x = Tensor(np.array(2.0), requires_grad=True)
        >>> slope = grad(x * x * x, x, create_graph=True)
        >>> slope.item(), grad(slope, x).item()
        (12.0, 12.0)
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    targets = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if grad_outputs is not None:
        grad_outputs = list(grad_outputs) if isinstance(grad_outputs, list | tuple) else [grad_outputs]
        if len(grad_outputs) != len(outputs):
            raise ValueError(
                f"grad: {len(grad_outputs)} cotangents (grad_outputs) for {len(outputs)} outputs; there must be one for each"
            )
    for i, target in enumerate(targets):
        if not isinstance(target, Tensor):
            raise TypeError(f"grad: inputs[{i}] is a {type(target).__name__}, not a Tensor")
        if not target.requires_grad:
            raise ValueError(f"grad: inputs[{i}] of shape {target.shape} does not require grad")
    edges = [target.node or target for target in targets]
    retain = create_graph if retain_graph is None else retain_graph
    gradients = _pull_back("grad", outputs, grad_outputs, set(edges), create_graph=create_graph, retain_graph=retain)
    for i, edge in enumerate(edges):
        if edge not in gradients and not allow_unused:
            raise ValueError(
                f"grad: no output depends on inputs[{i}] of shape {edge.shape}; pass allow_unused=True to get None for it"
            )
    found = [gradients.get(edge) for edge in edges]
    results = tuple(g if g is None or isinstance(g, Tensor) else _computed(g) for g in found)
    return results[0] if isinstance(inputs, Tensor) else results


def _computed(array: Array) -> Tensor:
    """Return a constant that nobody may write into: one array may be the gradient of several inputs, and even the cotangent."""
    constant = Tensor(array)
    constant.storage = Storage("", array.shape, is_computed=True)
    return constant


def _pull_back(
    caller: str,
    outputs: Sequence[Tensor],
    cotangents: Sequence[TensorLike] | None,
    wanted: set[Edge] | None,
    *,
    create_graph: bool,
    retain_graph: bool,
) -> dict[Any, Any]:
    """Carry cotangents from the outputs back; return them for the wanted edges, or for all leaves if `wanted` is None."""
    held: dict[Edge, Any] = {}  # the cotangent summed so far at each edge that is still to be visited
    owned: set[Edge] = set()  # the edges whose sum is an array of our own

    def accumulate(edge: Edge, cotangent: Any) -> None:
        # b = a + a; c = b + b:  add hands one array to both of its parents. So the first cotangent is kept as it came, the second is
        # added out of place, and only from the third on is the sum an array that nobody else holds.
        if edge not in held:
            held[edge] = cotangent
        elif create_graph or edge not in owned:
            held[edge] = add(held[edge], cotangent)
            owned.add(edge)
        else:
            held[edge] += cotangent

    for i, output in enumerate(outputs):
        if not isinstance(output, Tensor):
            raise TypeError(f"{caller}: output {i} is a {type(output).__name__}, not a Tensor")
        if not output.requires_grad:
            raise RuntimeError(
                f"{caller}: output {i} requires no grad: it was computed from constants only, or inside no_grad()"
            )
        accumulate(output.node or output, _seed(caller, output, cotangents[i] if cotangents else None, create_graph))

    nodes = _reachable(held)
    # The edges that are wanted, or lead to a wanted one; vjps for any other are not run.
    onward = None if wanted is None else wanted | _leading(nodes, wanted)
    gradients: dict[Edge, Any] = {}
    debugging = _mode.debugging
    with _switched("recording", create_graph):
        for node in reversed(nodes):
            cotangent = held.pop(node, None)
            if cotangent is None:
                continue
            if wanted is not None and node in wanted:
                gradients[node] = cotangent
            pulls = node.plan.pulls
            if onward is not None and not any(node.parents[pull.position] in onward for pull in pulls):
                continue
            if node.saved is None or node.versions:
                _check_intact(caller, node)
            saved: Any = node.saved_on_graph() if create_graph else node.saved
            primitive = node.primitive
            if primitive.joint is not None:
                joint = primitive.joint if create_graph else primitive.fused or primitive.joint
                values = [saved[name] for name in _named(joint)]
                try:
                    cotangent = joint(cotangent, *values)  # a tuple: each pull takes its part
                except FloatingPointError:
                    cotangent = without_underflow(joint, cotangent, *values)
                except MemoryError as error:
                    raise diagnosis.exhausted(error, primitive.name, cotangent, saved) from error
            for position, vjp, take in pulls:
                parent: Any = node.parents[position]
                if onward is None or parent in onward:
                    try:
                        result = vjp(cotangent, *take(saved))
                    except FloatingPointError:
                        result = without_underflow(vjp, cotangent, *take(saved))
                    except MemoryError as error:
                        raise diagnosis.exhausted(error, primitive.name, cotangent, saved) from error
                    if (
                        type(result) is not np.ndarray
                        or result.shape != parent.shape
                        or result.dtype is not parent.dtype
                    ):
                        result = _fitted(result, node, position, parent)
                    if debugging:
                        _check_gradient(result, node, position)
                    accumulate(parent, result)
            if not retain_graph:
                node.saved = None
    return gradients | {leaf: g for leaf, g in held.items() if wanted is None or leaf in wanted}


def _seed(caller: str, output: Tensor, cotangent: TensorLike | None, create_graph: bool) -> Any:
    module = array_module(output.data)
    if cotangent is None:
        if output.size != 1:
            raise RuntimeError(
                f"{caller}: an output of shape {output.shape} needs a cotangent of that shape; without one only a scalar has a gradient"
            )
        return module.ones(output.shape, output.dtype)
    device = device_of(cotangent.data if isinstance(cotangent, Tensor) else cotangent)
    if device not in (None, output.device):
        raise ValueError(f"{caller}: the cotangent is on {device}, the output on {output.device}")
    if not isinstance(cotangent, Tensor):
        cotangent = module.asarray(cotangent, dtype=output.dtype)
    elif not create_graph:
        cotangent = cotangent.data
    if cotangent.shape != output.shape:
        raise ValueError(f"{caller}: the cotangent has shape {cotangent.shape}, its output {output.shape}")
    return cotangent if cotangent.dtype == output.dtype else table.astype(cotangent, dtype=output.dtype)


def _reachable(edges: Sequence[Edge] | dict[Edge, Any]) -> list[Node]:
    """Return the nodes that can be reached, in the order of their creation. No recursion, so depth is no limit."""
    stack = [edge for edge in edges if isinstance(edge, Node)]
    found = set(stack)
    while stack:
        for parent in stack.pop().parents:
            if type(parent) is Node and parent not in found:
                found.add(parent)
                stack.append(parent)
    return sorted(found, key=_sequence_of)


_sequence_of = operator.attrgetter("sequence")


def _leading(nodes: Sequence[Node], wanted: set[Edge]) -> set[Edge]:
    """Return the nodes through which a wanted edge is reached; nodes come in order of creation, so parents come first."""
    leading: set[Edge] = set()
    for node in nodes:
        if any(parent in wanted or parent in leading for parent in node.parents):
            leading.add(node)
    return leading


def _check_intact(caller: str, node: Node) -> None:
    if node.saved is None:
        raise RuntimeError(
            f"{caller}: the graph at {node.primitive.name} was freed by an earlier backward; pass retain_graph=True to that one to keep it"
        )
    for storage, version in node.versions:
        if storage.version != version:
            leaf = storage.name or f"a leaf of shape {storage.shape}"
            raise RuntimeError(
                f"{caller}: {node.primitive.name} saved {leaf} at version {version}, which has since been overwritten "
                f"(now version {storage.version}); compute the loss again after the optimizer's step"
            )


def _fitted(cotangent: Any, node: Node, position: int, parent: Any) -> Any:
    """Undo what broadcasting and type promotion did to the argument; a vjp that misses otherwise is an error in the primitive."""
    primitive = node.primitive
    if cotangent is None:
        raise RuntimeError(f"{primitive.name}: the vjp for argument {position} returned None, but a gradient is wanted")
    if isinstance(cotangent, np.generic):
        cotangent = np.asarray(cotangent)
    if cotangent.shape != parent.shape:
        if not primitive.broadcasts:
            raise RuntimeError(
                f"{primitive.name}: the vjp for argument {position} returned shape {cotangent.shape}, but the argument has {parent.shape}"
            )
        cotangent = sum_to(cotangent, shape=parent.shape)
    if cotangent.dtype is not parent.dtype and cotangent.dtype != parent.dtype:
        cotangent = table.astype(cotangent, dtype=parent.dtype)
    return cotangent


def _check_gradient(cotangent: Any, node: Node, position: int) -> None:
    values = cotangent.data if isinstance(cotangent, Tensor) else cotangent
    _, inputs, origin = node.record or (None, [], "an unknown place, outside debug mode")
    what = f"{node.primitive.name}: gradient of argument {position}"
    diagnosis.check_finite(what, values, node.primitive._names(inputs), inputs, origin)


# ----------------------------------------------------------------- the two primitives that the walk itself needs


@primitive(broadcasts=True)
def add(a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float) -> Shaped[Array, "*shape"]:
    """Return a + b, broadcasting.

    Example:
        >>> add(np.array([1.0, 2.0]), 10.0)
        array([11., 12.])
    """
    return array_module(a, b).add(a, b)


add.vjp(a=lambda g: g, b=lambda g: g)


@primitive()
def sum_to(x: Shaped[Array, "..."], *, shape: tuple[int, ...]) -> Num[Array, "..."]:
    """Return x summed over the axes along which `shape` would be broadcast to x's shape.

    Args:
        x: an array of shape (..., *dims).
        shape: a shape that broadcasts to x's.

    Example:
        >>> sum_to(np.ones((2, 3)), shape=(3,))
        array([2., 2., 2.])
    """
    last = tuple(itertools.dropwhile(lambda n: n == 1, shape))
    if 0 < len(last) < x.ndim and last == x.shape[-len(last) :] and x.dtype.kind == "f":
        # The gradient of a bias, say. BLAS adds up rows several times as fast as a reduction, on a GPU many times: few sums leave it idle.
        rows = x.reshape(math.prod(x.shape[: -len(last)]), math.prod(last))
        return (array_module(x).ones(len(rows), x.dtype) @ rows).reshape(shape)
    extra = x.ndim - len(shape)
    axes = (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and x.shape[extra + i] != 1))
    return x.sum(axis=axes).reshape(shape)


sum_to.vjp(x=lambda g, x_shape: table.broadcast_to(g, shape=x_shape))
