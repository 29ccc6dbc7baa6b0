"""Modules: layers, their initial weights, and the table of a model."""

from minigen.nn import init as init
from minigen.nn.adversarial import GradientReversal, MinibatchStdDev
from minigen.nn.attention import KeyValueCache, MultiHeadAttention, SelfAttention2d
from minigen.nn.batches import in_batches
from minigen.nn.conv import (
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    MaskedConv2d,
    channel_mask,
    tap_mask,
)
from minigen.nn.dropout import Dropout
from minigen.nn.embedding import Embedding, FourierFeatures, LearnedPositions, SinusoidalEmbedding
from minigen.nn.group_norm import AdaptiveGroupNorm, GroupNorm, InstanceNorm, LayerNorm, PixelNorm
from minigen.nn.images import AvgPool2d, Flatten, MaxPool2d, PixelShuffle, Reshape, Upsample2d
from minigen.nn.layers import (
    ELU,
    GELU,
    LeakyReLU,
    Linear,
    MaskedLinear,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from minigen.nn.module import Buffer, Module, Parameter, check_state, check_whole, evaluating
from minigen.nn.norm import BatchNorm, ConditionalBatchNorm, frozen_statistics, statistics_of
from minigen.nn.recurrent import GRU, LSTM, RNN, detached
from minigen.nn.reparametrized import EqualizedLearningRate, Reparametrized, SpectralNorm, WeightNorm
from minigen.nn.residual import ResidualBlock
from minigen.nn.summary import summary
from minigen.nn.transformer import TransformerBlock

__all__ = [
    "ELU", "GELU", "GRU", "LSTM", "RNN", "AdaptiveGroupNorm", "AvgPool2d", "BatchNorm", "Buffer", "ConditionalBatchNorm",
    "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "Dropout", "Embedding", "EqualizedLearningRate", "Flatten",
    "FourierFeatures", "GradientReversal", "GroupNorm", "InstanceNorm", "KeyValueCache", "LayerNorm", "LeakyReLU",
    "LearnedPositions", "Linear", "MaskedConv2d", "MaskedLinear", "MaxPool2d", "MinibatchStdDev", "Module", "MultiHeadAttention",
    "Parameter", "PixelNorm", "PixelShuffle", "ReLU", "Reparametrized", "Reshape", "ResidualBlock", "SelfAttention2d", "Sequential",
    "SiLU", "Sigmoid", "SinusoidalEmbedding", "Softmax", "Softplus", "SpectralNorm", "Tanh", "TransformerBlock", "Upsample2d", "WeightNorm",
    "channel_mask", "check_state", "check_whole", "detached", "evaluating", "frozen_statistics", "in_batches", "init", "statistics_of",
    "summary", "tap_mask",
]  # fmt: skip
