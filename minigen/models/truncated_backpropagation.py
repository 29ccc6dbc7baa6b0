"""How a recurrent language model is trained on a text that is too long for one pass, by truncated backpropagation through time.

The text comes in pieces of T characters (`data.TextStreams`). The state after one piece is that before the next, so the values are those of
one pass through all of the text; but it comes in as a constant, so the gradient goes back T steps at most (Williams & Peng 1990).

*Teacher forcing* lets the network read the true text. In a sample it reads its own, slips included, which it has never seen in training.
*Scheduled sampling* (Bengio et al. 2015, "Scheduled sampling for sequence prediction with recurrent neural networks") mixes the two: with
probability e, which falls in the course of training, the character read is the true one, otherwise what the model itself would have
drawn there. No gradient goes through the draw. So the draws can be made first, step by step and without a graph, and then the
mixture is read in one pass as any other text: the states are the same.
"""

from typing import Any

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array, array_module
from minigen.distributions.distribution import raw
from minigen.engine import Tensor
from minigen.models.language_model import RecurrentLanguageModel, RecurrentStepper, check_texts
from minigen.random import Generator


class TruncatedBackpropagation(nn.Module):
    """A recurrent language model with the states in which it stands in N streams of text: what `fit_likelihood` trains.

    The states and the characters read last are buffers, so they are in a checkpoint, and a resumed run goes on from them.

    Args:
        model: shares its parameters.
        streams: N.
        teacher: e, the probability that a true character is read; `fit_likelihood` lets it fall by anneal={"teacher": schedule}.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> import numpy as np
        >>> from minigen.data import TextStreams
        >>> model = RecurrentLanguageModel(3, features=8, rng=Generator(0))
        >>> lesson = TruncatedBackpropagation(model, streams=2)
        >>> pieces = TextStreams(np.arange(60) % 3, streams=2, length=10, rng=Generator(1))
        >>> loss, terms = lesson.loss(next(pieces), rng=Generator(2))
        >>> loss.shape, sorted(terms)
        ((), ['nats_per_character'])
    """

    def __init__(self, model: RecurrentLanguageModel, *, streams: int, teacher: float = 1.0) -> None:
        if streams < 1 or not 0 <= teacher <= 1:
            raise ValueError(
                f"TruncatedBackpropagation: streams = {streams} must be at least 1, teacher = {teacher} a probability"
            )
        self.model, self.streams, self.teacher = model, streams, teacher
        zeros = array_module(model.last.weight.data).zeros
        shape, dtype = (model.recurrent.layers, streams, model.recurrent.features), model.last.weight.dtype
        self.carried = [nn.Buffer(zeros(shape, dtype)) for _ in model.recurrent.parts]
        self.read_last = nn.Buffer(zeros(streams, "int64"))
        self._begin()

    def loss(self, batch: Any, *, rng: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean of -log p over a piece in nats per character, and stand behind it.

        Args:
            batch: the piece, (N, T) of whole numbers, and whether the streams begin with it.
            rng: draws in scheduled sampling.

        Raises:
            ValueError: another number of streams, a piece of no characters, or values that are none.
        """
        piece, begins = batch
        x = raw(piece)
        check_texts(x, self.model.characters, owner="TruncatedBackpropagation")
        if len(x) != self.streams:
            raise ValueError(
                f"TruncatedBackpropagation: the piece has shape {x.shape}, expected (N, T) with N = {self.streams} streams"
            )
        x = x.astype("int64")
        if begins:
            self._begin()
        module = array_module(x)
        read = module.concatenate([self.read_last.data[:, None], x[:, :-1]], axis=1)
        state = [part.data for part in self.carried]
        if self.teacher < 1:
            self._read_own(read, state, rng)
        logits, after = self.model(read, tuple(state) if len(state) > 1 else state[0])
        loss = -ops.mean(self.model.conditional.log_prob(logits, x))
        # New arrays: backward still needs the old ones.
        for part, new in zip(self.carried, after if isinstance(after, tuple) else (after,), strict=True):
            part.data = raw(new)
        self.read_last.data = x[:, -1].copy()
        return loss, {"nats_per_character": loss.detach()}

    def _begin(self) -> None:
        module = array_module(self.read_last.data)
        for part in self.carried:
            part.data = module.zeros_like(part.data)
        self.read_last.data = module.full_like(self.read_last.data, self.model.characters)  # the start token

    def _read_own(self, read: Array, state: list[Array], rng: Generator) -> None:
        """Replace, in place, characters read by the model's own draws, each with probability 1 - e; the first of a piece stays."""
        n, length = read.shape
        stepper = RecurrentStepper(self.model, n, state)
        own, u = rng.bernoulli(1 - self.teacher, (length, n)) > 0, rng.uniform((length, n))
        module = array_module(read)
        for t in range(1, length):
            drawn = self.model.conditional.quantile(stepper.step(read[:, t - 1]), u[t])
            read[:, t] = module.where(own[t], drawn, read[:, t])
