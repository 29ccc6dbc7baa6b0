"""NADE (Larochelle & Murray 2011) in plain array code, for NumPy and CuPy: the definition of what the compiled kernels compute.

With s the sigmoid, x_i the i-th of D sites, W_i and V_i rows of two weights (D, H), c the bias of the hidden units and b that of the sites:

    a_0 = c,    a_{i+1} = a_i + x_i W_i         the hidden units' sums; they grow by one product a site        equation 8 and below
    h_i = s(a_i),    l_i = b_i + h_i V_i        the logit of site i, which has seen x_0, ..., x_{i-1}          equations 4 and 5

Backwards, with g_i the cotangent of l_i, the sites behind i hand down d_i, the cotangent of a_{i+1}:

    d_{i-1} = d_i + g_i V_i h_i (1 - h_i),    dx_i = d_i W_i,    dW_i = x_i d_i,    dV_i = g_i h_i,    dc = d_{-1}

Both walks hold the sums of one site at a time, (N, H); those of all sites would be D times as much. The walk back takes x_i W_i off again.
"""

from minigen.backend import Array, array_module
from minigen.kernels.reference import sigmoid


def nade_forward(x: Array, weight: Array, hidden_bias: Array, out_weight: Array, bias: Array) -> Array:
    """Return l of N examples, (N, D), for x (N, D), W (D, H), c (H,), V (D, H) and b (D,)."""
    module, x = array_module(x), x.astype(weight.dtype, copy=False)  # bits may come as whole numbers
    sums = module.zeros((len(x), 1), x.dtype) + hidden_bias  # (N, H)
    logits = module.empty(x.shape, x.dtype)
    for i in range(x.shape[1]):
        logits[:, i] = sigmoid(sums) @ out_weight[i] + bias[i]
        sums += x[:, i : i + 1] * weight[i]
    return logits


def nade_backward(
    g: Array, x: Array, weight: Array, hidden_bias: Array, out_weight: Array
) -> tuple[Array, Array, Array, Array]:
    """Return the cotangents of x, W, c and V, for those of l, (N, D)."""
    module, x = array_module(x), x.astype(weight.dtype, copy=False)
    to_x, to_weight, to_out_weight = (module.empty(a.shape, a.dtype) for a in (x, weight, out_weight))
    sums = x @ weight + hidden_bias  # (N, H), after the last site
    behind = module.zeros(sums.shape, sums.dtype)  # d
    for i in range(x.shape[1] - 1, -1, -1):
        x_i, g_i = x[:, i : i + 1], g[:, i : i + 1]
        to_x[:, i] = behind @ weight[i]
        to_weight[i] = x[:, i] @ behind
        sums -= x_i * weight[i]
        hidden = sigmoid(sums)
        to_out_weight[i] = g[:, i] @ hidden
        behind += g_i * out_weight[i] * hidden * (1.0 - hidden)
    return to_x, to_weight, behind.sum(axis=0), to_out_weight
