"""n-gram models (Shannon 1951, "Prediction and entropy of printed English"): the next character depends on the n - 1 before it alone.

With c(h, x) how often x follows the context h of n - 1 characters in a text, c(h) its sum over x, and d(h) how many different x follow,

    p(x | h) = (c(h, x) + d(h) p(x | h')) / (c(h) + d(h)),       h' the context without its first character,

so a context that is rare, or that many characters follow, leaves more to the next shorter one; below the empty context, p = 1/K.
This is Witten & Bell's smoothing (1991, method C) as Chen & Goodman 1999, section 2.5, write it. Nothing is learned by gradients: counting
is all. It is what a network has to beat.
"""

import numpy as np

from minigen import nn
from minigen.backend import Array, array_module
from minigen.distributions.distribution import raw
from minigen.engine import Tensor, TensorLike
from minigen.models.language_model import LanguageModel

LARGEST_TABLE = 2**26  # numbers


class NGram(LanguageModel):
    """A language model of counts, with a table of all contexts.

    Args:
        text: (L,), whole numbers from 0 to K - 1.
        characters: K.
        n: 1 for unigrams, 2 for bigrams, 3 for trigrams.
        length: T of a sample where nothing else is said.

    Attributes:
        log_probabilities: log p(x | h), ((K + 1)^(n - 1), K), float32; a context is read as a number of base K + 1, its last character
            the last digit; the digit K is the start token, which stands wherever a context reaches beyond the text's beginning.

    Raises:
        ValueError: a setting is out of range, the table would be too large, or the text holds something that is not a character.

    Example:
        >>> bigram = NGram(np.array([0, 1, 0, 1, 0, 1, 2]), characters=3, n=2)
        >>> np.exp(bigram.log_probabilities.data[0]).round(2)  # behind 0: 1 in three of three cases, and a share for all unigrams
        array([0.1 , 0.85, 0.05], dtype=float32)
    """

    def __init__(self, text: Array, *, characters: int, n: int, length: int = 256) -> None:
        super().__init__(characters, length=length)
        if n < 1 or not self.fits(characters, n):
            raise ValueError(
                f"NGram: n = {n} must be at least 1, and its table of {characters + 1}^{n - 1} contexts of {characters} "
                f"characters have at most {LARGEST_TABLE:,} numbers"
            )
        self.n = n
        text = raw(text)[None]  # (1, L)
        self._check(text)
        text = text.astype("int64")
        p = np.full((1, characters), 1.0 / characters)
        for m in range(1, n + 1):
            contexts = (characters + 1) ** (m - 1)
            counts = np.zeros((contexts, characters))
            np.add.at(counts, (self.contexts(text, m)[0], text[0]), 1.0)
            total, different = counts.sum(axis=1, keepdims=True), (counts > 0).sum(axis=1, keepdims=True)
            is_known, both = total > 0, np.maximum(total + different, 1.0)
            p = p[np.arange(contexts) % len(p)]  # of the shorter contexts, without the first digit
            p *= np.where(is_known, different / both, 1.0)  # in place: tables may be large
            counts /= both
            p += counts
        self.log_probabilities = nn.Buffer(np.log(p, out=p).astype(np.float32))

    @staticmethod
    def fits(characters: int, n: int) -> bool:
        """Return whether the table of all contexts of n - 1 characters is small enough to build.

        Example:
            >>> NGram.fits(60, 3), NGram.fits(3000, 2), NGram.fits(3000, 3)
            (True, True, False)
        """
        return (characters + 1) ** (n - 1) * characters <= LARGEST_TABLE

    def predict(self, x: TensorLike, condition: TensorLike | None = None) -> Tensor:
        """Return log p(. | h) of all characters of texts, (N, T) -> (N, T, K)."""
        self.check_unconditional(condition)
        return self.log_probabilities[self.contexts(raw(x), self.n)]

    def stepper(self, n: int, condition: TensorLike | None = None) -> "NGramStepper":
        """Return what looks up the conditionals of n texts one after the other."""
        return NGramStepper(self)

    def contexts(self, x: Array, n: int) -> Array:
        """Return the number of the context of n - 1 characters before each character, (N, T) -> (N, T)."""
        module = array_module(x)
        start = module.full((len(x), n - 1), self.characters, "int64")
        padded = module.concatenate([start, x.astype("int64")], axis=1)
        context = module.zeros(x.shape, "int64")
        for k in range(n - 1):
            context = context * (self.characters + 1) + padded[:, k : k + x.shape[1]]
        return context


class NGramStepper:
    """Looks at the n - 1 characters before the next one, and no others."""

    def __init__(self, model: NGram) -> None:
        self.model = model

    def parameters(self, x: Array, i: int) -> Array:
        """See `Stepper`."""
        n = self.model.n
        contexts = self.model.contexts(x[:, max(0, i - n + 1) : i + 1], n)
        return self.model.log_probabilities.data[contexts[:, -1]]
