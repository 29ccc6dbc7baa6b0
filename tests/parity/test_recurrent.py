"""Recurrent layers against PyTorch's, in float64: outputs, states, and gradients with respect to inputs, states and parameters."""

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.random import Generator

torch = pytest.importorskip("torch")

KINDS = pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
DEPTHS = pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, False), (2, True)])


def pair(kind, layers, bidirectional):
    """Our layer, PyTorch's of the same weights, and the latter's gradients as a function, in the order of our parameters.

    A weight is (in, out) here and (out, in) there. Of its two biases the second is 0, but for the GRU's third third, our `biases_n`.
    """
    ours = getattr(nn, kind)(3, 4, rng=Generator(0), layers=layers, bidirectional=bidirectional)
    for p in ours.parameters():
        p.data = p.data.astype(np.float64)
    theirs = getattr(torch.nn, kind)(
        3, 4, num_layers=layers, bidirectional=bidirectional, batch_first=True, dtype=torch.float64
    )
    suffixes = [f"l{layer}{end}" for layer in range(layers) for end in (("", "_reverse") if bidirectional else ("",))]
    with torch.no_grad():
        for k, suffix in enumerate(suffixes):
            getattr(theirs, f"weight_ih_{suffix}").copy_(torch.from_numpy(ours.weights_x[k].data.T.copy()))
            getattr(theirs, f"weight_hh_{suffix}").copy_(torch.from_numpy(ours.weights_h[k].data.T.copy()))
            getattr(theirs, f"bias_ih_{suffix}").copy_(torch.from_numpy(ours.biases[k].data))
            getattr(theirs, f"bias_hh_{suffix}").zero_()
            if kind == "GRU":
                getattr(theirs, f"bias_hh_{suffix}")[8:] = torch.from_numpy(ours.biases_n[k].data)

    def slopes():
        found = [getattr(theirs, f"weight_ih_{suffix}").grad.numpy().T for suffix in suffixes]
        found += [getattr(theirs, f"weight_hh_{suffix}").grad.numpy().T for suffix in suffixes]
        found += [getattr(theirs, f"bias_ih_{suffix}").grad.numpy() for suffix in suffixes]
        if kind == "GRU":
            found += [getattr(theirs, f"bias_hh_{suffix}").grad.numpy()[8:] for suffix in suffixes]
        return found

    return ours, theirs, slopes


def as_state(kind, parts):
    return tuple(parts) if kind == "LSTM" else parts[0]


def parts_of(state):
    return list(state) if isinstance(state, tuple) else [state]


@KINDS
@DEPTHS
@pytest.mark.parametrize("lengths", [None, [5, 2, 4]], ids=["whole", "packed"])
def test_recurrent_layers(kind, layers, bidirectional, lengths):
    rng = np.random.default_rng(0)
    ours, theirs, slopes = pair(kind, layers, bidirectional)
    x = rng.normal(size=(3, 5, 3))
    first = rng.normal(size=(2 if kind == "LSTM" else 1, len(ours.biases), 3, 4))

    x_ours = mg.tensor(x, requires_grad=True)
    first_ours = [mg.tensor(part, requires_grad=True) for part in first]
    mask = None if lengths is None else np.arange(5) < np.array(lengths)[:, None]
    output, state = ours(x_ours, as_state(kind, first_ours), mask)

    x_theirs = torch.tensor(x, requires_grad=True)
    first_theirs = [torch.tensor(part, requires_grad=True) for part in first]
    packing = torch.nn.utils.rnn
    given = x_theirs
    if lengths is not None:
        given = packing.pack_padded_sequence(x_theirs, lengths, batch_first=True, enforce_sorted=False)
    expected, end = theirs(given, as_state(kind, first_theirs))
    if lengths is not None:
        expected, _ = packing.pad_packed_sequence(expected, batch_first=True)

    all_ours, all_theirs = [output, *parts_of(state)], [expected, *parts_of(end)]
    cotangents = [rng.normal(size=y.shape) for y in all_ours]
    wanted = [x_ours, *first_ours, *ours.parameters()]
    obtained = mg.grad(all_ours, wanted, cotangents)
    torch.autograd.backward(all_theirs, [torch.from_numpy(c) for c in cotangents])
    for a, b in zip(all_ours, all_theirs, strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-10, atol=1e-12)
    for a, b in zip(obtained, [x_theirs.grad, *(part.grad for part in first_theirs), *slopes()], strict=True):
        np.testing.assert_allclose(a.data, np.asarray(b), rtol=1e-10, atol=1e-12)
