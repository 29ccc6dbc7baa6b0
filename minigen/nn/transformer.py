"""The transformer's block, normalized before each of its two parts (Vaswani et al. 2017; Xiong et al. 2020, figure 1b):

    x <- x + dropout(attention(norm(x))),
    x <- x + dropout(W_2 gelu(W_1 norm(x) + b_1) + b_2).

From the first block's input to the last one's output runs a path of sums alone. So the initial gradients are level from block to block, and
training needs no warm-up, as it does with the norm after each sum (Xiong et al., "On Layer Normalization in the Transformer Architecture").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigen.engine import Tensor, TensorLike
from minigen.nn.attention import KeyValueCache, MultiHeadAttention
from minigen.nn.dropout import Dropout
from minigen.nn.group_norm import LayerNorm
from minigen.nn.layers import GELU, Linear, Sequential
from minigen.nn.module import Module
from minigen.random import Generator
from minigen.sizes import counts

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


class TransformerBlock(Module):
    """Self-attention between places, then a network of two layers at each place, both added to what came in.

    Args:
        features: the channels, C.
        heads: of the attention, a divisor of C.
        rng: draws the initial weights, and the masks of dropout.
        expansion: the network's hidden layer has `expansion` C units.
        dropout: the probability that a value of either sum's second term is 0.
        causal: whether a place sees itself and earlier ones only.

    Attributes:
        attention_norm, network_norm: the two `LayerNorm`s.
        attention: the `MultiHeadAttention`.
        network: the `Sequential` of the two `Linear`s and the `GELU` between them.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> block = TransformerBlock(8, heads=2, rng=Generator(0), causal=True)
        >>> block(Generator(1).normal((2, 5, 8))).shape
        (2, 5, 8)
    """

    def __init__(
        self, features: int, *, heads: int, rng: Generator, expansion: int = 4, dropout: float = 0.0, causal: bool = False
    ) -> None:  # fmt: skip
        features, expansion = counts("TransformerBlock", features=features, expansion=expansion)
        self.causal = causal
        self.attention_norm = LayerNorm(features)
        self.attention = MultiHeadAttention(features, heads=heads, rng=rng)
        self.network_norm = LayerNorm(features)
        self.network = Sequential(
            Linear(features, expansion * features, rng=rng), GELU(), Linear(expansion * features, features, rng=rng)
        )
        self.dropout = Dropout(p=dropout, rng=rng)

    def forward(
        self,
        x: Float[TensorLike, "N T C"],
        *,
        mask: Bool[TensorLike, "N S"]
        | Bool[TensorLike, "#N #T S"]
        | Float[TensorLike, "N S"]
        | Float[TensorLike, "#N #T S"]
        | Float[TensorLike, "#N #H #T S"]
        | None = None,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "N T C"]:
        """Compute, (N, T, C) -> (N, T, C).

        Args:
            x: (N, T, C).
            mask: which places are seen; see `MultiHeadAttention`.
            cache: holds earlier places; see `MultiHeadAttention`.

        Raises:
            ValueError: a shape does not fit, or there is a cache and the block is not causal.
        """
        if cache is not None and not self.causal:
            raise ValueError(
                "TransformerBlock: with a cache a place cannot see later ones, but this block was made with causal=False"
            )
        found = self.attention(self.attention_norm(x), mask=mask, causal=self.causal, cache=cache)
        x = x + self.dropout(found)
        return x + self.dropout(self.network(self.network_norm(x)))
