"""Give PyTorch's twin of a network the weights of minigen's; both list their parameters in the same order."""

import numpy as np


def copy_weights(torch, ours, theirs):
    """A kernel is (kh, kw, in, out) here and (out, in, kh, kw) there, a linear weight (in, out) and (out, in), an LSTM's too."""
    linear = {id(part.weight) for part in theirs.modules() if isinstance(part, torch.nn.Linear)}
    parameters = []
    for name, parameter in theirs.named_parameters():
        if "weight_ih" in name or "weight_hh" in name:
            linear.add(id(parameter))
        if "bias_hh" in name:  # the second of two biases whose sum counts
            parameter.data.zero_()
        else:
            parameters.append(parameter)
    for mine, its in zip(ours.parameters(), parameters, strict=True):
        values = torch.from_numpy(np.array(mine.data))
        if values.ndim == 4:
            values = values.permute(3, 2, 0, 1)
        elif id(its) in linear:
            values = values.T
        assert values.shape == its.shape
        its.data.copy_(values)
