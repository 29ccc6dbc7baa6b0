"""What flows where in a turn of a game, found by computing its loss once.

Each call of one of the game's networks is noted with all that went in and out. Where an input came from is told by the identity of its
array, be it of the batch, drawn by the generator, or what another network returned, detached or not; and where a graph leads to it, by
following that graph. An array that is none of these is looked at: it may be a copy of one, come from a judge's pool, or lie between two.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from minigen.backend import Array, array_module, device_of
from minigen.engine import Node, Tensor, debug
from minigen.guards import guard
from minigen.models import Judge, Turn
from minigen.nn import Buffer, Module, Parameter, evaluating
from minigen.nn.module import in_this_thread
from minigen.random import Generator

ROUNDING = 1e-4  # relative to the largest number, of points that lie between others


class Part(NamedTuple):
    """Something that has a part in a turn.

    Attributes:
        kind: "batch", "noise", "call" of a network, "computed" for other arrays, "slope" for the gradient of what a network returned with
            respect to its input, "loss".
        title: its name.
        rows: the shape of what it gives, or the names of the loss's terms.
        sources: the parts that it was computed from, by their places, and whether the gradient that the player follows flows back to them.
        network: whose call it is, or None.
    """

    kind: str
    title: str
    rows: tuple[str, ...]
    sources: dict[int, bool]
    network: Module | None = None


class Call(NamedTuple):
    """One call of a network: the arrays and Tensors that went in, and those that came out."""

    network: Module
    inputs: list[Any]
    outputs: list[Any]


class Draws(Generator):
    """A generator that continues where another one stands, and keeps all that it draws; the other one stays there."""

    def __init__(self, rng: Generator) -> None:
        self.__setstate__(rng.__getstate__())
        self.drawn: list[Array] = []


def _keeping(name: str) -> Any:
    method = getattr(Generator, name)

    def draw(self: Draws, *arguments: Any, **keywords: Any) -> Array:
        self.drawn.append(method(self, *arguments, **keywords))
        return self.drawn[-1]

    return draw


for _name in ("uniform", "normal", "exponential", "gumbel", "integers", "bernoulli", "categorical", "permutation"):
    setattr(Draws, _name, _keeping(_name))


# ------------------------------------------------------------------------------------------------------ the game's networks


class Networks(NamedTuple):
    """The networks of a game.

    Attributes:
        names: of each, by the attribute of the game where it stands.
        judges: those that networks belong to.
    """

    names: dict[Module, str]
    judges: dict[Module, Judge]


def networks_of(game: Any, turns: Sequence[Turn]) -> Networks:
    """Return the networks of a game: those of its attributes, lists and dicts that are called, and not made of others.

    A judge's network has the judge's name. A module without a `forward` of its own, such as a game inside the game, stands for what is in
    it. What a player learns and the game does not have has the player's name.
    """
    names: dict[Module, str] = {}
    judges: dict[Module, Judge] = {}

    def find(part: Any, name: str) -> None:
        if isinstance(part, Judge):
            names.setdefault(part.network, name)
            judges.setdefault(part.network, part)
        elif isinstance(part, Module) and type(part).forward is not Module.forward:
            names.setdefault(part, name)
        elif isinstance(part, Module | dict):
            for key, inner in (part if isinstance(part, dict) else vars(part)).items():
                find(inner, f"{name}.{key}")
        elif isinstance(part, list | tuple):
            for i, inner in enumerate(part):
                find(inner, f"{name}.{i}")

    for key, part in getattr(game, "__dict__", {}).items():
        find(part, key)
    for turn in turns:
        if not any(shares_parameters(network, turn.network) for network in names):
            find(turn.network, turn.player)
    for network in list(names):
        if any(part is not network and part in names for part in network.named_modules().values()):
            del names[network]
    return Networks(names, judges)


def shares_parameters(network: Module, other: Module) -> bool:
    """Return whether two modules have a parameter in common."""
    return not {id(p) for p in network.parameters()}.isdisjoint(id(p) for p in other.parameters())


@guard
def undisturbed(modules: Sequence[Module]) -> Iterator[dict[Buffer, Array]]:
    """Put modules into evaluation mode inside the block; afterwards their modes, buffers and generators are as they were before.

    Yields:
        the buffers' values at the beginning.
    """
    parts = [part for module in modules for part in module.named_modules().values()]
    buffers = {b: b.data.copy() for module in modules for b in module.named_buffers().values()}
    generators = [value for part in parts for value in vars(part).values() if isinstance(value, Generator)]
    states = [generator.state() for generator in generators]
    with ExitStack() as stack:
        for module in modules:
            stack.enter_context(evaluating(module))
        try:
            yield buffers
        finally:
            for buffer, values in buffers.items():
                if not (buffer.data == values).all():
                    buffer.assign(values)
            for generator, state in zip(generators, states, strict=True):
                generator.load_state(state)


# ------------------------------------------------------------------------------------------------------ one turn


def trace(turn: Turn, batch: Any, networks: Networks, *, before: Mapping[Buffer, Array], rng: Generator) -> list[Part]:
    """Compute a turn's loss, and return its parts, each after those that it was computed from; the loss is the last.

    Parts that the loss does not depend on are left out.

    Args:
        turn: the turn.
        batch: what its loss takes.
        networks: whose calls are noted.
        before: the buffers' values before the turn.
        rng: stays as it is.

    Raises:
        ValueError: the turn calls none of the networks.
    """
    draws, calls = Draws(rng), list[Call]()

    def observe(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        if module in networks.names:
            calls.append(Call(module, [array for _, array in _arrays(inputs)], [array for _, array in _arrays(output)]))

    in_this_thread.observers.append(observe)
    try:
        with debug():
            loss, terms = turn.loss(batch, rng=draws)
    finally:
        in_this_thread.observers.remove(observe)
    if not calls:
        raise ValueError(
            f"game_diagram: the turn of {turn.player} calls none of the game's networks, {', '.join(networks.names.values())}; a diagram "
            "shows calls of networks themselves, such as generator(z), but not of their other methods"
        )
    found = _Trace(turn, networks, before)
    for name, array in _arrays(batch):
        found.add(Part("batch", name or "x", _shapes([array]), {}), [array])
    for array in draws.drawn:
        found.add(Part("noise", "z", _shapes([array]), {}), [array])
    for call in calls:
        found.add_call(call)
    found.add_loss(loss, list(terms))
    return _used(found.parts)


class _Trace:
    """The parts of a turn as far as they are known, and the arrays and nodes by which more are found."""

    def __init__(self, turn: Turn, networks: Networks, before: Mapping[Buffer, Array]) -> None:
        self.turn, self.networks, self.before = turn, networks, before
        self.parts: list[Part] = []
        self.is_moved: list[bool] = []  # whether a part depends on what the player learns
        self.arrays: list[tuple[int, Array]] = []
        self.place: dict[int, int] = {}  # of a part, by the identity of its array
        self.owners: dict[int, set[int]] = {}  # parts by the memory that their arrays are views of
        self.returned: dict[Node, int] = {}  # calls by the nodes of their outputs
        self.inside: dict[Node, int] = {}  # calls by the nodes that they made on the way
        self.slopes: dict[int, int] = {}  # by call

    def add(self, part: Part, arrays: Sequence[Any] = (), *, learns: bool = False) -> int:
        """Add a part and the arrays by which it is known; return its place."""
        here = len(self.parts)
        flows = {source: is_linked and self.is_moved[source] for source, is_linked in part.sources.items()}
        self.parts.append(part._replace(sources=flows))
        self.is_moved.append(learns or any(flows.values()))
        for value in arrays:
            array = value.data if isinstance(value, Tensor) else value
            self.arrays.append((here, array))
            self.place.setdefault(id(array), here)
            self.owners.setdefault(id(_owner(array)), set()).add(here)
        return here

    def add_call(self, call: Call) -> None:
        """Add a call, and before it what its inputs were computed from."""
        sources: dict[int, bool] = {}
        for value in call.inputs:
            for source, is_linked in self.sources_of(value, call.network).items():
                sources[source] = sources.get(source, False) or is_linked
        title, learns = self.networks.names[call.network], shares_parameters(call.network, self.turn.network)
        part = Part("call", title, _shapes(call.outputs), sources, call.network)
        here = self.add(part, call.outputs, learns=learns)
        given = {value.node for value in call.inputs if isinstance(value, Tensor)}
        for value in call.outputs:
            if isinstance(value, Tensor) and value.node and value.node not in given:
                self.returned.setdefault(value.node, here)
                for node in self.behind(value.node, given):
                    self.inside.setdefault(node, here)

    def add_loss(self, loss: Tensor, terms: Sequence[str]) -> None:
        """Add the loss.

        The slope of a network without curvature, such as one of leaky ReLUs, depends on weights alone, and no path leads from it to the
        call. Where the loss depends on a network's weights in another way than by its calls, it is taken to depend on the slopes of those
        calls that nothing else needs.
        """
        sources, weights = self.followed(loss.node) if loss.node else ({}, set())
        needed = set(sources).union(*(part.sources for part in self.parts))
        for here, part in enumerate(list(self.parts)):
            is_learned_from = part.network is not None and not weights.isdisjoint(map(id, part.network.parameters()))
            if is_learned_from and here not in needed:
                sources[self.slope(here)] = True
        self.add(Part("loss", "loss", tuple(terms), sources))

    def slope(self, call: int) -> int:
        """Return the part that is the slope of a call."""
        if call not in self.slopes:
            self.slopes[call] = self.add(Part("slope", "slope", (), {call: True}))
        return self.slopes[call]

    def behind(self, node: Node, ends: set[Any]) -> Iterator[Node]:
        """Yield the nodes that a node was computed from, without it, up to those of other calls and of the given ends."""
        stack, seen = [node], {node}
        while stack:
            for parent in stack.pop().parents:
                if isinstance(parent, Node) and not (parent in seen or parent in ends or parent in self.returned):
                    seen.add(parent)
                    stack.append(parent)
                    yield parent

    def followed(self, node: Node) -> tuple[dict[int, bool], set[int]]:
        """Follow the graph back to parts; return them, with whether the graph links them, and the identities of parameters met."""
        sources: dict[int, bool] = {}
        weights: set[int] = set()
        stack, seen = [node], {node}
        while stack:
            here = stack.pop()
            if here in self.returned:
                sources[self.returned[here]] = True
                continue
            if here in self.inside:
                sources[self.slope(self.inside[here])] = True
                continue
            values = here.record.inputs if here.record else [None] * len(here.parents)
            for parent, value in zip(here.parents, values, strict=True):
                if isinstance(parent, Node):
                    if parent not in seen:
                        seen.add(parent)
                        stack.append(parent)
                elif isinstance(parent, Parameter):
                    weights.add(id(parent))
                else:
                    part = self.known(parent.data if parent is not None else value)
                    if part is not None:
                        sources.setdefault(part, False)
        return sources, weights

    def sources_of(self, value: Any, network: Module) -> dict[int, bool]:
        """Return the parts that an input of a network comes from."""
        if isinstance(value, Tensor) and value.node:
            return self.followed(value.node)[0]
        array = value.data if isinstance(value, Tensor) else value
        part = self.known(array)
        return {self.computed(array, network) if part is None else part: False}

    def known(self, array: Any) -> int | None:
        """Return the part that an array is of, itself or a view of it, or None."""
        if id(array) in self.place:
            return self.place[id(array)]
        owners = self.owners.get(id(_owner(array)), set())
        return next(iter(owners)) if len(owners) == 1 else None

    def computed(self, array: Array, network: Module) -> int:
        """Return the part that an array is of which was computed outside networks and without a graph; it may be a copy of another's."""
        # The latest come first: what a pool shows may equal what was given to it, and is used in its place.
        alike = [(place, other) for place, other in self.arrays[::-1] if other.shape == array.shape and array.ndim]
        made = [(place, other) for place, other in alike if self.parts[place].kind == "call"]
        judge = self.networks.judges.get(network)
        sources: dict[int, bool] | None = None
        if judge and judge.pool and (sources := self.pooled(array, made, judge)) is not None:
            return self.add(Part("computed", "pool", _shapes([array]), sources), [array])
        for place, other in alike:
            if (array == other).all():
                return place
        for place, a in alike:
            for another, b in alike:
                if place > another and _is_between(array, a, b):
                    sources = {another: False, place: False}
                    return self.add(Part("computed", "between", _shapes([array]), sources), [array])
        return self.add(Part("computed", "computed", _shapes([array]), {}), [array])

    def pooled(self, array: Array, made: Sequence[tuple[int, Array]], judge: Judge) -> dict[int, bool] | None:
        """Return the calls that fill a judge's pool, if all rows of the array are theirs or the pool's, else None."""
        pool = judge.pool
        assert pool is not None
        held = (pool.examples.data, self.before.get(pool.examples, pool.examples.data))
        if array.shape[1:] != held[0].shape[1:]:
            return None
        is_known = _rows_among(array, held[0]) | _rows_among(array, held[1])
        for _, other in made:
            is_known = is_known | _rows_among(array, other)
        if not is_known.all():
            return None
        # What is given to a pool is shown, or takes the place of what is.
        return {
            place: False for place, other in made if (_rows_among(other, array) | _rows_among(other, held[0])).all()
        }


def _used(parts: Sequence[Part]) -> list[Part]:
    """Return the parts that the last one depends on, and it; noise is numbered if there are several kinds of it."""
    used = {len(parts) - 1}
    for here in reversed(range(len(parts))):
        if here in used:
            used.update(parts[here].sources)
    order = sorted(used)
    place = {old: new for new, old in enumerate(order)}
    noises = [old for old in order if parts[old].kind == "noise"]
    kept = []
    for old in order:
        part = parts[old]
        if part.kind == "noise" and len(noises) > 1:
            part = part._replace(title=f"{part.title}{noises.index(old) + 1}")
        kept.append(part._replace(sources={place[source]: flows for source, flows in part.sources.items()}))
    return kept


def _arrays(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the arrays and Tensors of a batch, arguments or outputs, with names: x and y for those of a pair, the keys of a dict."""
    if isinstance(value, Tensor) or device_of(value):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _arrays(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, tuple | list):
        for i, inner in enumerate(value):
            yield from _arrays(inner, f"{name}[{i}]" if name else "xy"[i] if i < 2 else f"batch[{i}]")


def _shapes(arrays: Sequence[Any]) -> tuple[str, ...]:
    return (", ".join(str(tuple(array.shape)) for array in arrays),)


def _owner(array: Any) -> Any:
    """Return the array whose memory an array is a view of, which may be itself."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array


def _rows_among(array: Array, others: Array) -> Array:
    """Return which examples of an array, (N, ...), are among others, (M, ...), as (N,)."""
    a, b = array.reshape(len(array), 1, -1), others.reshape(1, len(others), -1)
    return (a == b).all(axis=2).any(axis=1)


def _is_between(y: Array, a: Array, b: Array) -> bool:
    """Return whether each example of y, (N, ...), lies on the line from that of a to that of b."""
    if "f" in {array.dtype.kind for array in (y, a, b)} and y.size:
        module = array_module(y)
        y, a, b = (array.reshape(len(array), -1) for array in (y, a, b))
        along = b - a
        length = module.maximum((along * along).sum(axis=1, keepdims=True), 1e-30)
        share = ((y - a) * along).sum(axis=1, keepdims=True) / length
        miss = abs(y - a - share * along).max()
        is_on_line = miss <= ROUNDING * module.maximum(abs(a).max(), abs(b).max())
        return bool(is_on_line & (share >= -ROUNDING).all() & (share <= 1 + ROUNDING).all())
    return False
