"""Cases of the neural autoregressive distribution estimator: each site on its own."""

import numpy as np
import scipy.special

from minigen.ops.nade import nade_logits
from ops.cases.case import case, normal


def logits_of_nade(
    x: np.ndarray, weight: np.ndarray, hidden_bias: np.ndarray, out_weight: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    sums = [hidden_bias + x[:, :i] @ weight[:i] for i in range(len(bias))]  # (N, H) each
    return np.stack([scipy.special.expit(a) @ v + b for a, v, b in zip(sums, out_weight, bias, strict=True)], axis=1)


for examples, sites, units in ((2, 3, 4), (3, 1, 2)):
    case(
        nade_logits, normal(examples, sites), normal(sites, units), normal(units), normal(sites, units), normal(sites),
        expected=logits_of_nade, label=f"{examples} examples, {sites} sites",
    )  # fmt: skip
case(nade_logits, normal(0, 2), normal(2, 3), normal(3), normal(2, 3), normal(2), expected=logits_of_nade, label="none")
