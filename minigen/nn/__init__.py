"""Modules: layers, their initial weights, and the table of a model."""

from minigen.nn import init as init
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
from minigen.nn.summary import summary

__all__ = [
    "ELU", "GELU", "Buffer", "LeakyReLU", "Linear", "Module", "Parameter", "ReLU", "Sequential", "SiLU", "Sigmoid", "Softmax",
    "Softplus", "Tanh", "check_state", "init", "summary",
]  # fmt: skip
