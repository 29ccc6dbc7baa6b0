"""Modules: layers, their initial weights, and the table of a model."""

from minigen.nn import init as init
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
from minigen.nn.images import AvgPool2d, Flatten, MaxPool2d, PixelShuffle, Upsample2d
from minigen.nn.layers import (
    ELU,
    GELU,
    LeakyReLU,
    Linear,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from minigen.nn.module import Buffer, Module, Parameter, check_state
from minigen.nn.norm import BatchNorm, frozen_statistics
from minigen.nn.summary import summary

__all__ = [
    "ELU", "GELU", "AvgPool2d", "BatchNorm", "Buffer", "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "Dropout",
    "Flatten", "LeakyReLU", "Linear", "MaskedConv2d", "MaxPool2d", "Module", "Parameter", "PixelShuffle", "ReLU", "Sequential",
    "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "Upsample2d", "channel_mask", "check_state", "frozen_statistics", "init",
    "summary", "tap_mask",
]  # fmt: skip
