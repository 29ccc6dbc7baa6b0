"""Optimizers over a flat arena, learning-rate schedules, and the average of weights."""

from minigen.optim.arena import Arena
from minigen.optim.ema import EMA
from minigen.optim.optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
from minigen.optim.schedules import Schedule, constant, cosine, linear_warmup, step_decay

__all__ = [
    "EMA", "SGD", "Adam", "AdamW", "Arena", "Optimizer", "RMSProp", "Schedule", "constant", "cosine", "linear_warmup", "step_decay",
]  # fmt: skip
