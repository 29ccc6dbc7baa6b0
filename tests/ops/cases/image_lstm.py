"""Cases of LSTMs over images: one pixel at a time, row by row."""

import itertools

import numpy as np

from minigen.ops.image_lstm import image_lstm
from ops.cases.case import case, normal
from ops.cases.recurrent import lstm_step


def lstm_of_image(inputs: np.ndarray, weight: np.ndarray, direction: str) -> np.ndarray:
    height, width = inputs.shape[1:3]
    beside = 1 if direction == "left" else -1
    taps = [(-1, k - len(weight) // 2) for k in range(len(weight))] if direction == "down" else [(-1, 0), (0, beside)]
    carried = (-1, 0) if direction == "down" else (0, beside)  # where the cell comes from
    out = np.zeros((*inputs.shape[:3], weight.shape[1]))
    for n, x in enumerate(inputs):
        states, zero = {}, [np.zeros(weight.shape[1])] * 2
        for i, j in itertools.product(range(height), range(width)[::-beside]):
            a = x[i, j] + sum(states.get((i + r, j + s), zero)[0] @ w for (r, s), w in zip(taps, weight, strict=True))
            states[i, j] = lstm_step(
                a, np.zeros((1, 1)), np.zeros(1), states.get((i + carried[0], j + carried[1]), zero)[1]
            )
            out[n, i, j] = states[i, j][0]
    return out


for direction, taps, (images, height, width, features) in (
    ("down", 3, (2, 2, 3, 1)), ("right", 2, (1, 2, 2, 2)), ("left", 2, (2, 3, 2, 1)), ("right", 2, (2, 2, 1, 1)),
):  # fmt: skip
    case(
        image_lstm, normal(images, height, width, 4 * features), normal(taps, features, 4 * features), expected=lstm_of_image,
        direction=direction, label=f"{direction}, {height} x {width}, {features} features",
    )  # fmt: skip
case(image_lstm, normal(0, 2, 2, 4), normal(2, 1, 4), expected=lstm_of_image, direction="left", label="none")
