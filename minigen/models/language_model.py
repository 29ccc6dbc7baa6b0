"""Language models: the distribution of a text, one character after the other.

    p(x) = prod_t p(x_t | x_0, ..., x_{t-1}),       p(x_t = k | ...) = softmax(y_t)_k,

where the logits y_t come from a network that has read x_0 to x_{t-1}. It reads the character before in place of the one that it predicts,
and before the first a *start token*, number K, which stands for "no more is known": so every conditional, the first one too, is a network's
output. Training lets it read the true text (teacher forcing, Williams & Zipser 1989); a sample is read back as it is drawn.

    recurrent      h_t = cell(embedding(x_{t-1}), h_{t-1}),  y_t = h_t W + b       Mikolov et al. 2010; LSTM: Graves 2013
    transformer    blocks of causal attention with learned positions               Radford et al. 2019, small

A recurrent network has read all that came before. A transformer has a *window* of L places, and reads a longer text in several. Windows
overlap by half. The first predicts all its L characters; each later one moves on by L/2 and predicts only its second half, whose characters
are thus conditioned on the L/2 to L - 1 before them. Every window begins with a start token, as if nothing came before.

How good a model is, is said in nats per character, -log p(x) / T; in bits, which are log 2 nats; or as the perplexity exp(nats per
character): the number of equally likely characters that would be as hard to guess.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, Self

import numpy as np

import minigen.ops as ops
from minigen import kernels, nn
from minigen.backend import Array, array_module, device_of
from minigen.distributions.distribution import raw
from minigen.engine import Tensor, TensorLike, is_debugging
from minigen.models.autoregressive import Autoregressive
from minigen.models.conditionals import CategoricalConditional
from minigen.random import Generator


class TemperedCategorical(CategoricalConditional):
    """A choice made bolder or more cautious: P(x) is in proportion to p(x)^(1 / temperature) for the k likeliest x, and 0 for others.

    At temperature 1 with all x it is p; towards 0 the likeliest alone remains, towards infinity all are alike (Ackley, Hinton & Sejnowski
    1985). Characters as likely as the k-th stay with it. Fan, Lewis & Dauphin 2018, section 5.4, draw from the k likeliest.

    Args:
        levels: L.
        temperature: above 0.
        top_k: k; None for all.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> import numpy as np
        >>> TemperedCategorical(3, temperature=0.5, top_k=2).probabilities(np.log([[0.2, 0.4, 0.4]]))
        array([[0. , 0.5, 0.5]])
    """

    def __init__(self, levels: int, *, temperature: float = 1.0, top_k: int | None = None) -> None:
        super().__init__(levels)
        if not 0 < temperature < float("inf"):
            raise ValueError(
                f"TemperedCategorical: temperature = {temperature} must be above 0 and finite; for the likeliest alone say top_k=1"
            )
        if top_k is not None and (top_k < 1 or top_k % 1):
            raise ValueError(f"TemperedCategorical: top_k = {top_k}, expected a whole number of at least 1")
        self.temperature, self.top_k = float(temperature), int(top_k or levels)

    def log_prob(self, parameters: TensorLike, x: TensorLike) -> Any:
        """See `Conditional.log_prob`."""
        return super().log_prob(self._tempered(parameters), x)

    def probabilities(self, parameters: Array) -> Array:
        """See `Conditional.probabilities`."""
        return super().probabilities(self._tempered(parameters))

    def _tempered(self, logits: Any) -> Any:
        array = raw(logits)
        least, most = float(np.finfo(array.dtype).tiny), float(np.finfo(array.dtype).max)
        factor = max(least, min(1.0 / self.temperature, most))  # neither 0 nor infinite, since 0 * inf is NaN
        # Softmax does not see the shift, by which the largest logit is 0 at every temperature, and what overflows is -inf.
        with np.errstate(over="ignore"):
            tempered = (logits - array.max(axis=-1, keepdims=True)) * factor
        if self.top_k < self.levels:
            weakest = array_module(array).sort(array, axis=-1)[..., -self.top_k, None]
            tempered = ops.where(array < weakest, -float("inf"), tempered)
        return tempered


class LanguageModel(Autoregressive):
    """What language models have in common. A subclass defines `logits`; for speed also `stepper`.

    It is a distribution of texts of any one length: `log_prob`, `sample` and `complete` take every T.

    Args:
        characters: K, how many there are in the vocabulary.
        length: T of a sample where nothing else is said.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, characters: int, *, length: int) -> None:
        if characters < 2 or length < 1:
            raise ValueError(
                f"{type(self).__name__}: characters = {characters} must be at least 2, the length = {length} at least 1"
            )
        self.characters = characters
        self.size = (length,)
        self.conditional = CategoricalConditional(characters)

    def logits(self, before: TensorLike) -> Any:
        """Return y_t for all t from the characters before, (N, T) -> (N, T, K): place t of `before` holds x_{t-1}, or the start token K."""
        raise NotImplementedError(f"{type(self).__name__} defines no logits")

    def predict(self, x: TensorLike, condition: TensorLike | None = None) -> Any:
        """Return the logits of all characters of texts, (N, T) -> (N, T, K)."""
        self.check_unconditional(condition)
        return self.logits(_before(self.characters, x, 0, x.shape[1]))

    def surprise(self, x: TensorLike) -> Any:
        """Return -log p(x_t | x_0, ..., x_{t-1}) in nats for each character, (N, T) -> (N, T)."""
        self._check(x)
        return -self.conditional.log_prob(self.predict(x), x)

    def loss(self, batch: Any, *, rng: Generator | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean of -log p over a batch of texts, (N, T), in nats per character."""
        loss = ops.mean(self.surprise(batch))
        return loss, {"nats_per_character": loss.detach()}

    # -- sampling

    def tempered(self, *, temperature: float = 1.0, top_k: int | None = None) -> Self:
        """Return the model with every conditional made bolder or more cautious, as `TemperedCategorical` says; it shares the weights.

        Example:
            >>> bold = RecurrentLanguageModel(5, features=8, rng=Generator(0)).tempered(top_k=1)
            >>> bool((bold.sample(1, length=9, rng=Generator(1)) == bold.sample(1, length=9, rng=Generator(2))).all())
            True
        """
        other = copy.copy(self)
        other.conditional = TemperedCategorical(self.characters, temperature=temperature, top_k=top_k)
        return other

    def sample(
        self, n: int, *, rng: Generator, condition: TensorLike | None = None, cached: bool = True, length: int | None = None
    ) -> Array:  # fmt: skip
        """Return n texts drawn from p(x), (n, T) of int64; see `Autoregressive.sample`.

        Args:
            n: how many.
            rng: draws, on the model's device.
            condition: None.
            cached: whether to compute only what is new.
            length: T; None for the model's own.
        """
        x = raw(ops.zeros((n, self.size[0] if length is None else length), dtype="int64", device=rng.device))
        for _ in self.fill(x, rng=rng, condition=condition, cached=cached):
            pass
        return x

    def extend(self, prompt: Array, length: int, *, rng: Generator, cached: bool = True) -> Array:
        """Return prompts, each with drawn characters behind it, (N, P + length).

        Args:
            prompt: (N, P) of whole numbers, an array or lists.
            length: how many characters are drawn.
            rng, cached: as for `sample`.

        Raises:
            ValueError: the prompt is empty, or holds something that is not a character.
        """
        if device_of(prompt) is None:  # lists
            prompt = raw(ops.tensor(prompt, device=rng.device))
        if prompt.ndim != 2 or not prompt.shape[1]:
            raise ValueError(
                f"{type(self).__name__}.extend: the prompt (N, P) has shape {prompt.shape}, expected at least one character; `sample` "
                "draws texts from their beginning"
            )
        self._check(prompt)
        module = array_module(prompt)
        x = module.concatenate([prompt, module.zeros((len(prompt), length), prompt.dtype)], axis=1)
        return self.complete(x, module.arange(x.shape[1]) < prompt.shape[1], rng=rng, cached=cached)

    def fill(
        self, x: Array, known: Array | None = None, *, rng: Generator, condition: TensorLike | None = None, cached: bool = True
    ) -> Iterator[int]:  # fmt: skip
        """Draw the unknown characters of texts of any length in place, without dropout; see `Autoregressive.fill`."""
        if x.ndim != 2 or not x.shape[1]:
            raise ValueError(f"{type(self).__name__}.fill: x has shape {x.shape}, expected (N, T) with T >= 1")
        sized = copy.copy(self)
        sized.size = x.shape[1:]
        parts = list(sized.named_modules().values())
        steps = super(LanguageModel, sized).fill(x, known, rng=rng, condition=condition, cached=cached)
        for t in range(x.shape[1]):
            is_training = any(part.training for part in parts)
            # Left before each yield: what the caller computes in between is in the caller's mode.
            with nn.evaluating(sized) if is_training else nullcontext():
                next(steps)
            yield t + 1

    def _check(self, x: TensorLike) -> None:
        check_texts(x, self.characters, owner=type(self).__name__)


def check_texts(x: TensorLike, characters: int, *, owner: str) -> None:
    """Refuse what is not a text. On a GPU values are looked at only while debugging.

    Args:
        x: (N, T).
        characters: K.
        owner: opens the message.

    Raises:
        ValueError: another shape, or a value is not a whole number from 0 to K - 1.
    """
    if len(x.shape) != 2 or not x.shape[1]:
        raise ValueError(f"{owner}: x has shape {x.shape}, expected texts (N, T) with T >= 1")
    array = raw(x)
    if not (device_of(array) == "cpu" or is_debugging()):
        return
    bad = (array < 0) | (array >= characters) | (array != array_module(array).floor(array))
    if bad.any():
        raise ValueError(
            f"{owner}: {int(bad.sum())} of {array.size} values are not characters of a vocabulary of {characters}, the first is "
            f"{array[bad][0]:g}; expected whole numbers from 0 to {characters - 1}"
        )


def _before(start: int, x: TensorLike, first: int, stop: int) -> Array:
    """Return what is read at places first to stop - 1 of texts, (N, T) -> (N, stop - first): the start token, then the characters."""
    text = raw(x)[:, first : stop - 1].astype("int64")
    module = array_module(text)
    return module.concatenate([module.full((len(text), 1), start, "int64"), text], axis=1)


# ------------------------------------------------------------------------------------------------------------ recurrent

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentLanguageModel(LanguageModel):
    """A language model that carries a state from character to character.

    Args:
        characters: K.
        cell: "rnn", "gru" or "lstm"; `nn.recurrent` has their equations.
        features: of the embedding and of the state.
        layers: how many recurrent layers stand one upon the other.
        dropout: the probability that a value is 0 in training where it enters or leaves a layer, never on its way through time (Zaremba,
            Sutskever & Vinyals 2014).
        length: T of a sample where nothing else is said.
        rng: draws the initial weights, and the masks of dropout.

    Attributes:
        embedding: of the K characters and the start token.
        recurrent: the `nn.RNN`, `nn.GRU` or `nn.LSTM`.
        last: the linear map to the logits.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> import numpy as np
        >>> model = RecurrentLanguageModel(4, cell="gru", features=8, rng=Generator(0))
        >>> model.log_prob(np.array([[0, 3, 1]])).shape, model.sample(2, length=7, rng=Generator(1)).shape
        ((1,), (2, 7))
    """

    def __init__(
        self, characters: int, *, cell: str = "lstm", features: int = 256, layers: int = 1, dropout: float = 0.0, length: int = 256,
        rng: Generator,
    ) -> None:  # fmt: skip
        super().__init__(characters, length=length)
        if cell not in CELLS:
            raise ValueError(f"RecurrentLanguageModel: cell = {cell!r}, expected one of {', '.join(CELLS)}")
        self.cell = cell
        self.embedding = nn.Embedding(characters + 1, features, rng=rng)
        self.recurrent = CELLS[cell](features, features, rng=rng, layers=layers, dropout=dropout if layers > 1 else 0.0)
        self.last = nn.Linear(features, characters, rng=rng)
        self.dropout = nn.Dropout(p=dropout, rng=rng)

    def forward(self, before: TensorLike, state: Any = None) -> tuple[Tensor, Any]:
        """Read on from a state, None for the first; return the logits, (N, T) -> (N, T, K), and the state after the last character."""
        output, state = self.recurrent(self.dropout(self.embedding(before)), state)
        return self.last(self.dropout(output)), state

    def logits(self, before: TensorLike) -> Tensor:
        """See `LanguageModel.logits`."""
        return self(before)[0]

    def stepper(self, n: int, condition: TensorLike | None = None) -> "RecurrentStepper":
        """Return what computes the conditionals of n texts one after the other, without dropout."""
        return RecurrentStepper(self, n)


class RecurrentStepper:
    """The network's step on arrays: one character in, the logits of the next out. Its cache is the state.

    What a character adds to the first layer's gates is a row of a table, embedding W_x, which is computed once.

    Args:
        model: as it is now: what it learns later is not seen.
        n: how many texts.
        state: the parts of the state to go on from, (layers, n, H) each; None for the first.
    """

    def __init__(self, model: RecurrentLanguageModel, n: int, state: Sequence[Array] | None = None) -> None:
        net = model.recurrent
        self.start, self.cell = model.characters, model.cell
        self.weights_x, self.weights_h, self.biases = (
            [parameter.data for parameter in group] for group in (net.weights_x, net.weights_h, net.biases)
        )
        self.biases_n = [parameter.data for parameter in net.biases_n] if isinstance(net, nn.GRU) else []
        self.weight, self.bias = model.last.weight.data, raw(model.last.bias)
        self.table = model.embedding.weight.data @ self.weights_x[0]  # (K + 1, G H)
        if state is None:
            zeros = array_module(self.table).zeros((net.layers, n, net.features), self.table.dtype)
            state = [zeros for _ in net.parts]
        self.layers = [tuple(part[k] for part in state) for k in range(net.layers)]  # of each: h, or h and c, (n, H)

    def parameters(self, x: Array, i: int) -> Array:
        """See `Stepper`."""
        return self.step(x[:, i - 1] if i else array_module(x).full(len(x), self.start))

    def step(self, before: Array) -> Array:
        """Read one character of each text, (n,) -> the logits of the next, (n, K)."""
        out = self.table[before.astype("int64")]
        for k in range(len(self.layers)):
            gates = out @ self.weights_x[k] if k else out
            self.layers[k] = self._cell(k, gates[:, None])
            out = self.layers[k][0]
        return out @ self.weight + self.bias

    def _cell(self, k: int, gates: Array) -> tuple[Array, ...]:
        """Return the state of layer k after a step, for its input's share of the gates, (n, 1, G H), which is used up."""
        weight, bias, hidden = self.weights_h[k], self.biases[k], self.layers[k][0]
        if self.cell == "rnn":
            return (kernels.rnn_forward(gates, weight, bias, hidden, None, reverse=False)[:, 0],)
        if self.cell == "gru":
            states, *_ = kernels.gru_forward(gates, weight, bias, self.biases_n[k], hidden, None, reverse=False)
            return (states[:, 0],)
        states, *_ = kernels.lstm_forward(gates, weight, bias, hidden, self.layers[k][1], None, reverse=False)
        return states[:, 0], states[:, 1]


# ---------------------------------------------------------------------------------------------------------- transformer


class TransformerLanguageModel(LanguageModel):
    """A language model in which every place looks at all places before it in the window.

    Args:
        characters: K.
        window: L, how many places it sees at once; the file says what becomes of longer texts. Also T of a sample where nothing else is
            said.
        features: C.
        heads: of the attention, a divisor of C.
        blocks: how many.
        dropout: the probability that a value is 0 in training: of the embedded characters, and of what a block adds.
        rng: draws the initial weights, and the masks of dropout.

    Attributes:
        embedding: of the K characters and the start token.
        positions: the `nn.LearnedPositions`.
        blocks: the `nn.TransformerBlock`s.
        norm, last: the normalization and the linear map to the logits.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> import numpy as np
        >>> model = TransformerLanguageModel(4, window=6, features=8, heads=2, blocks=1, rng=Generator(0))
        >>> model.log_prob(np.array([[0, 3, 1]])).shape, model.sample(2, length=20, rng=Generator(1)).shape
        ((1,), (2, 20))
    """

    def __init__(
        self, characters: int, *, window: int = 128, features: int = 256, heads: int = 8, blocks: int = 4, dropout: float = 0.0,
        rng: Generator,
    ) -> None:  # fmt: skip
        super().__init__(characters, length=window)
        self.window = window
        self.fresh = window - window // 2  # characters by which the window moves on
        self.embedding = nn.Embedding(characters + 1, features, rng=rng)
        self.positions = nn.LearnedPositions(window, features, rng=rng)
        self.positions.weight.data *= 50.0  # N(0, 1) as the embedding: smaller ones are hardly seen at first
        self.blocks = [
            nn.TransformerBlock(features, heads=heads, dropout=dropout, causal=True, rng=rng) for _ in range(blocks)
        ]
        self.norm = nn.LayerNorm(features)
        self.last = nn.Linear(features, characters, rng=rng)
        self.dropout = nn.Dropout(p=dropout, rng=rng)

    def forward(self, before: TensorLike, caches: Sequence[nn.KeyValueCache] | None = None) -> Tensor:
        """Return the logits, (N, T) -> (N, T, K), T <= L; with caches, one a block, T are the places that follow those in the caches."""
        x = self.dropout(self.positions(self.embedding(before), caches[0].size if caches else 0))
        for k, block in enumerate(self.blocks):
            x = block(x, cache=caches[k] if caches else None)
        return self.last(self.norm(x))

    def logits(self, before: TensorLike) -> Tensor:
        """See `LanguageModel.logits`; T <= L."""
        return self(before)

    def predict(self, x: TensorLike, condition: TensorLike | None = None) -> Any:
        """Return the logits of all characters of texts of any length, (N, T) -> (N, T, K)."""
        n, length = x.shape
        beyond = length - self.window
        if beyond <= 0:
            return super().predict(x, condition)
        text = raw(x)
        module = array_module(text)
        windows = 1 - (-beyond // self.fresh)  # so many reach the end, or a little beyond it, where no one looks
        text = module.concatenate([text, module.zeros((n, self.fresh), text.dtype)], axis=1)
        places = self.fresh * module.arange(windows)[:, None] + module.arange(self.window)  # (windows, L)
        every = super().predict(text[:, places].reshape(-1, self.window), condition)
        every = ops.reshape(every, shape=(n, windows, self.window, self.characters))
        rest = every[:, 1:, self.window - self.fresh :]  # (N, windows - 1, fresh, K)
        rest = ops.reshape(rest, shape=(n, -1, self.characters))
        return ops.concatenate([every[:, 0], rest], axis=1)[:, :length]

    def stepper(self, n: int, condition: TensorLike | None = None) -> "TransformerStepper":
        """Return what computes the conditionals of n texts one after the other, each place of a window once."""
        return TransformerStepper(self)


class TransformerStepper:
    """The network at one new place after the other; its caches are the keys and values of the places before.

    Args:
        model: runs in the mode that it is in; `LanguageModel.fill` sees to evaluation mode.
    """

    def __init__(self, model: TransformerLanguageModel) -> None:
        self.model = model
        self.caches = [nn.KeyValueCache(model.window) for _ in model.blocks]
        self.first = 0  # the first character of the window

    def parameters(self, x: Array, i: int) -> Array:
        """See `Stepper`."""
        seen = i - self.first
        if seen == self.model.window:  # the window is full: it moves on, and its places are computed anew
            self.first += self.model.fresh
            seen = 0
            for cache in self.caches:
                cache.reset()
        places = _before(self.model.characters, x, self.first, i + 1)[:, seen:]
        return raw(self.model(places, self.caches))[:, -1]
