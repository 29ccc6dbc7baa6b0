"""Bad input is answered by name: the operation, what it got, and what would be right."""

import numpy as np
import pytest

import minigen as mg
from minigen import kernels
from minigen.engine import Primitive, primitive
from minigen.ops.index import index


def leaf(*shape):
    return mg.Tensor(np.ones(shape), requires_grad=True)


x, w = leaf(2, 3), leaf(2, 4)
freed = mg.sum(x)
freed.backward()

# call, exception, what its message says
BAD_CALLS = {
    # shapes
    "add": (lambda: x + w, ValueError, r"add: .*broadcast.*; got a \(2, 3\) float64, b \(2, 4\) float64"),
    "multiply raw arrays": (
        lambda: mg.multiply(x.data, w.data),
        ValueError,
        r"multiply: .*a \(2, 3\) float64, b \(2, 4\)",
    ),
    "where": (
        lambda: mg.where(x > 0, x, w),
        ValueError,
        r"where: .*condition \(2, 3\) bool, a \(2, 3\) float64, b \(2, 4\)",
    ),
    "matmul": (lambda: x @ w, ValueError, r"matmul: a \(2, 3\) ends in 3, but b \(2, 4\) expects 2"),
    "matmul stacks": (
        lambda: leaf(2, 3, 4) @ leaf(3, 4, 5),
        ValueError,
        r"matrix_product: .*a \(2, 3, 4\) float64, b \(3, 4, 5\)",
    ),
    "matmul scalar": (lambda: mg.matmul(x, leaf()), ValueError, r"matmul: .*b \(\) .*use \* for scalars"),
    "matmul number": (lambda: x @ 2.0, (TypeError, ValueError), r"matmul: .*use \* for scalars"),
    "linear features": (
        lambda: mg.linear(x, w),
        ValueError,
        r"linear: x \(2, 3\) has 3 features, \(\.\.\., in\), but weight \(in, out\) = \(2, 4\) expects 2",
    ),
    "linear bias": (
        lambda: mg.linear(x, leaf(3, 4), leaf(3)),
        ValueError,
        r"linear: bias \(out,\) = \(3,\) does not fit weight \(in, out\) = \(3, 4\)",
    ),
    "conv2d channels": (
        lambda: mg.conv2d(leaf(8, 32, 32, 3), leaf(5, 5, 4, 16)),
        ValueError,
        r"conv2d: x has 3 channels, \(N, H, W, C\) = \(8, 32, 32, 3\), but weight \(kh, kw, C_in/G, C_out\) = \(5, 5, 4, 16\) expects 4",
    ),
    "conv2d axes": (
        lambda: mg.conv2d(x, w),
        ValueError,
        r"conv2d: x has shape \(2, 3\) and weight \(2, 4\); expected \(N, H, W, C_in\)",
    ),
    "conv2d integers": (
        lambda: mg.conv2d(np.ones((1, 2, 2, 1), int), leaf(1, 1, 1, 1)),
        TypeError,
        r"conv2d: x is int64 and weight float64; expected floating-point numbers",
    ),
    "conv2d stride": (
        lambda: mg.conv2d(leaf(1, 3, 3, 1), leaf(2, 2, 1, 1), stride=0),
        ValueError,
        r"conv2d: stride is 0, expected a whole number of at least 1, or two of them",
    ),
    "conv2d padding": (
        lambda: mg.conv2d(leaf(1, 3, 3, 1), leaf(2, 2, 1, 1), padding="full"),
        ValueError,
        r"conv2d: padding is 'full', expected \"same\"",
    ),
    "conv2d negative padding": (
        lambda: mg.conv2d(leaf(1, 3, 3, 1), leaf(2, 2, 1, 1), padding=((0, -1), (0, 0))),
        ValueError,
        r"conv2d: padding is \(0, -1\), expected a whole number of at least 0",
    ),
    "conv2d size": (
        lambda: mg.conv2d(leaf(1, 3, 3, 1), leaf(3, 3, 1, 1), dilation=2),
        ValueError,
        r"conv2d: the image \(H, W\) = \(3, 3\) .* is smaller than the kernel \(kh, kw\) = \(3, 3\) .*covers \(5, 5\)",
    ),
    "conv2d groups": (
        lambda: mg.conv2d(leaf(1, 3, 3, 2), leaf(2, 2, 1, 3), groups=2),
        ValueError,
        r"conv2d: groups is 2, expected a whole number that divides the 3 channels of the last axis of weight",
    ),
    "conv2d group channels": (
        lambda: mg.conv2d(leaf(1, 3, 3, 5), leaf(2, 2, 1, 4), groups=2),
        ValueError,
        r"conv2d: x has 5 channels.*expects 2 in 2 groups",
    ),
    "conv2d bias": (
        lambda: mg.conv2d(leaf(1, 3, 3, 1), leaf(2, 2, 1, 4), leaf(1, 4)),
        ValueError,
        r"conv2d: bias has shape \(1, 4\), expected \(C_out,\) = \(4,\)",
    ),
    "conv2d mask": (
        lambda: mg.conv2d(leaf(1, 3, 3, 1), leaf(2, 2, 1, 4), mask=np.ones((3, 3), bool)),
        ValueError,
        r"conv2d: mask has shape \(3, 3\) and dtype bool; expected bool, and \(kh, kw\) = \(2, 2\) or the shape of weight, \(2, 2, 1, 4\)",
    ),
    "conv2d mask dtype": (
        lambda: mg.conv2d(leaf(1, 3, 3, 1), leaf(2, 2, 1, 4), mask=np.ones((2, 2))),
        ValueError,
        r"conv2d: mask has shape \(2, 2\) and dtype float64; expected bool",
    ),
    "conv_transpose2d channels": (
        lambda: mg.conv_transpose2d(leaf(1, 3, 3, 2), leaf(2, 2, 2, 4)),
        ValueError,
        r"conv_transpose2d: x has 2 channels.*weight \(kh, kw, C_out/G, C_in\) = \(2, 2, 2, 4\) expects 4",
    ),
    "conv_transpose2d output_padding": (
        lambda: mg.conv_transpose2d(leaf(1, 3, 3, 1), leaf(2, 2, 1, 1), stride=2, output_padding=2),
        ValueError,
        r"conv_transpose2d: output_padding is 2, expected less than the stride, \(2, 2\)",
    ),
    "conv_transpose2d same": (
        lambda: mg.conv_transpose2d(leaf(1, 3, 3, 1), leaf(2, 2, 1, 1), stride=2, padding="same", output_padding=1),
        ValueError,
        r'conv_transpose2d: output_padding is 1, but with padding "same" the size is known',
    ),
    "conv_transpose2d size": (
        lambda: mg.conv_transpose2d(leaf(1, 1, 1, 1), leaf(2, 2, 1, 1), padding=1),
        ValueError,
        r"conv_transpose2d: an image \(H, W\) = \(1, 1\) gives the size \(0, 0\)",
    ),
    "conv1d axes": (
        lambda: mg.conv1d(x, w),
        ValueError,
        r"conv1d: x has shape \(2, 3\) and weight \(2, 4\); expected three axes",
    ),
    "conv1d channels": (
        lambda: mg.conv1d(leaf(1, 5, 2), leaf(3, 1, 4)),
        ValueError,
        r"conv2d: x has 2 channels",
    ),
    "conv_transpose1d padding": (
        lambda: mg.conv_transpose1d(leaf(1, 5, 2), leaf(3, 1, 2), padding=(1, 2, 3)),
        ValueError,
        r"conv_transpose1d: padding is \(1, 2, 3\)",
    ),
    "reshape": (
        lambda: x.reshape(4, 2),
        ValueError,
        r"reshape: cannot reshape .*; got x \(2, 3\) float64, shape = \(4, 2\)",
    ),
    "broadcast_to": (
        lambda: mg.broadcast_to(x, shape=(2, 4)),
        ValueError,
        r"broadcast_to: .*x \(2, 3\) float64, shape = \(2, 4\)",
    ),
    "concatenate": (
        lambda: mg.concatenate([x, w]),
        ValueError,
        r"(join|concatenate): .*arrays\[0\] \(2, 3\) float64, arrays\[1\] \(2, 4\) float64",
    ),
    "concatenate nothing": (lambda: mg.concatenate([]), ValueError, "(join|concatenate): .*at least one array"),
    "stack": (lambda: mg.stack([x, w]), ValueError, r"(join|stack): .*\(1, 2, 3\).*\(1, 2, 4\)"),
    "split": (lambda: mg.split(x, 2, axis=1), ValueError, "split: axis 1 of length 3 has no 2 equal parts"),
    "split in none": (lambda: mg.split(x, 0), ValueError, "split: axis 0 of length 2 has no 0 equal parts"),
    "squeeze": (lambda: mg.squeeze(x, axis=1), ValueError, r"squeeze: axis 1 of shape \(2, 3\) does not have length 1"),
    "pad": (
        lambda: mg.pad(x, width=((1, 1),)),
        ValueError,
        r"pad: width \(\(1, 1\),\) has 1 pairs for the 2 axes of shape \(2, 3\)",
    ),
    "gather": (
        lambda: mg.gather(x, np.array([0, 1]), axis=1),
        ValueError,
        r"gather: indices of shape \(2,\) must agree with \(2, 3\) except along axis 1",
    ),
    "scatter_add": (
        lambda: mg.scatter_add(x, np.array([[0]]), leaf(2), axis=0),
        ValueError,
        r"scatter_add: values have shape \(2,\), indices \(1, 1\)",
    ),
    "moveaxis": (
        lambda: mg.moveaxis(x, (0, 1), 0),
        ValueError,
        r"moveaxis: 2 source axes \(0, 1\) for 1 destinations 0",
    ),
    "var": (lambda: mg.var(leaf(1), correction=1), ValueError, "var: .*correction"),
    "max of nothing": (lambda: mg.max(leaf(0)), ValueError, r"max: .*x \(0,\) float64"),
    # axes
    "sum": (
        lambda: x.sum(axis=2),
        (ValueError, IndexError),
        r"sum: axis 2 is out of bounds .*; got x \(2, 3\) float64, axis = 2",
    ),
    "mean": (lambda: mg.mean(x, axis=(0, 0)), ValueError, r"mean: .*x \(2, 3\) float64, axis = \(0, 0\)"),
    "logsumexp": (
        lambda: mg.logsumexp(x, axis=2),
        ValueError,
        "logsumexp: axis 2 must name distinct axes from -2 to 1",
    ),
    "logsumexp twice": (
        lambda: mg.logsumexp(x, axis=(1, -1)),
        ValueError,
        r"logsumexp: axis \(1, -1\) must name distinct",
    ),
    "axis of a single number": (
        lambda: mg.norm(leaf(), axis=1),
        ValueError,
        "norm: axis 1 must name distinct axes from -1 to 0",
    ),
    "softmax along half an axis": (
        lambda: mg.softmax(np.ones((2, 3), "float32"), axis=1.0),
        TypeError,
        r"softmax: .*float.*axis = 1\.0",
    ),
    "prod": (lambda: mg.prod(x, axis=5), (ValueError, IndexError), "prod: .*axis"),
    "softmax": (lambda: mg.softmax(x, axis=-3), (ValueError, IndexError), r"softmax: .*axis = -3"),
    "cumsum": (lambda: mg.cumsum(x, axis=2), (ValueError, IndexError), r"cumsum: .*axis = 2"),
    "flip": (lambda: mg.flip(x, axis=2), (ValueError, IndexError), r"flip: .*axis = 2"),
    "transpose": (lambda: mg.transpose(x, axes=(0, 0)), ValueError, r"transpose: repeated axis.*axes = \(0, 0\)"),
    "expand_dims": (
        lambda: mg.expand_dims(x, 3),
        ValueError,
        "expand_dims: axis 3 must name distinct axes from -3 to 2",
    ),
    "repeat": (lambda: mg.repeat(x, 2, axis=2), ValueError, "repeat: axis 2 must name distinct axes from -2 to 1"),
    "concatenate axis": (
        lambda: mg.concatenate([x, x], axis=2),
        (ValueError, IndexError),
        r"(join|concatenate): .*axis = 2",
    ),
    "gather axis": (
        lambda: mg.gather(x, np.zeros((2, 3), int), axis=2),
        ValueError,
        r"gather: axis 2 is out of range for shape \(2, 3\)",
    ),
    # diagonals, products, and other functions of arrays
    "dot": (
        lambda: mg.dot(x, w),
        ValueError,
        r"^dot: axes \(1,\) of a \(2, 3\) have lengths \(3,\), but axes \(0,\) of b \(2, 4\) have \(2,\)$",
    ),
    "inner": (
        lambda: mg.inner(x, w),
        ValueError,
        r"^inner: axes .* of a \(2, 3\) .* \(3,\), but axes .* of b \(2, 4\) .* \(4,\)$",
    ),
    "tensordot": (
        lambda: mg.tensordot(x, w),
        ValueError,
        r"^tensordot: axes .* of a .* \(2, 3\), but axes .* of b .* \(2, 4\)$",
    ),
    "tensordot of a number": (
        lambda: mg.tensordot(x, 2.0, ((1,), ())),
        ValueError,
        r"^tensordot: axes \(1,\) of a \(2, 3\) have lengths \(3,\), but axes \(\) of b \(\) have \(\)$",
    ),
    "tensordot too many axes": (
        lambda: mg.tensordot(x, w, 3),
        ValueError,
        "^tensordot: axes is 3, but a has 2 axes and b has 2$",
    ),
    "tensordot axes": (
        lambda: mg.tensordot(x, w, 1.5),
        ValueError,
        r"^tensordot: axes is 1\.5, expected a number of axes, or a pair: axes of a, axes of b$",
    ),
    "tensordot axis": (
        lambda: mg.tensordot(x, w, (0, 5)),
        ValueError,
        "^tensordot: axis 5 must name distinct axes from -2 to 1$",
    ),
    "diagonal": (
        lambda: mg.diagonal(leaf(3)),
        ValueError,
        r"^diagonal: x has shape \(3,\), expected a matrix or a stack of them$",
    ),
    "diagonal axes": (
        lambda: mg.diagonal(x, 0, 1, 1),
        ValueError,
        r"^diagonal: axis \(1, 1\) must name distinct axes from -2 to 1$",
    ),
    "diag": (
        lambda: mg.diag(leaf(2, 2, 2)),
        ValueError,
        r"^diag: x has shape \(2, 2, 2\), expected a vector or a matrix; for a stack of matrices use diagonal$",
    ),
    "trace": (lambda: mg.trace(x, 0.5), ValueError, r"^trace: offset is 0\.5, expected a whole number$"),
    "tril": (lambda: mg.tril(leaf(3)), ValueError, r"^tril: x has shape \(3,\), expected a matrix or a stack of them$"),
    "triu": (lambda: mg.triu(x, 0.5), ValueError, r"^triu: k is 0\.5, expected a whole number$"),
    "eye": (lambda: mg.eye((2, 3)), ValueError, r"^eye: n is \(2, 3\), expected a whole number of at least 0$"),
    "swapaxes": (lambda: mg.swapaxes(x, 0, 2), ValueError, "^swapaxes: axis 2 must name distinct axes from -2 to 1$"),
    "swapaxes axis": (
        lambda: mg.swapaxes(x, 0, None),
        ValueError,
        "^swapaxes: axis2 is None, expected a whole number$",
    ),
    "roll": (
        lambda: mg.roll(x, 0.5),
        ValueError,
        r"^roll: shift is 0\.5, expected a whole number or a tuple of whole numbers$",
    ),
    "roll axis": (lambda: mg.roll(x, 1, 2), (ValueError, IndexError), "^roll: axis 2 is out of bounds .*axis = 2"),
    "vstack": (lambda: mg.vstack([x, w]), ValueError, r"^vstack: .*\(2, 3\).*\(2, 4\)"),
    "vstack nothing": (lambda: mg.vstack([]), ValueError, "^vstack: the list is empty, expected at least one array$"),
    "vstack without a list": (
        lambda: mg.vstack(x, x),
        TypeError,
        "^vstack: 2 arguments were given by position; it takes 1: arrays$",
    ),
    "hstack": (lambda: mg.hstack([x, leaf(3)]), ValueError, r"^hstack: .*\(2, 3\).*\(3,\)"),
    "array_split": (
        lambda: mg.array_split(x, 1.5),
        ValueError,
        r"^array_split: sections is 1\.5, expected the number of parts, or the indices at which to cut$",
    ),
    "array_split in none": (
        lambda: mg.array_split(x, 0),
        ValueError,
        "^array_split: sections is 0, expected a whole number of at least 1$",
    ),
    "diff": (lambda: mg.diff(x, -1), ValueError, "^diff: n is -1, expected a whole number of at least 0$"),
    "diff of a number": (
        lambda: mg.diff(leaf()),
        ValueError,
        "^diff: x is a single number; expected at least one axis, along which it has neighbours$",
    ),
    "list to outer": (lambda: mg.outer([1.0], x), TypeError, "^outer: an argument is a list"),
    "list to mod": (lambda: x % [1.0], TypeError, "^mod: an argument is a list"),
    "tensors that require grad to tensor": (
        lambda: mg.tensor([x, x]),
        ValueError,
        r"^tensor: a tensor in the list requires grad, and copied values would lose its graph; mg\.stack\(tensors\) keeps it",
    ),
    "tensors of different shapes to tensor": (
        lambda: mg.tensor([x.detach(), 1.0]),
        ValueError,
        "^tensor: the data does not make an array; expected numbers in lists of equal lengths$",
    ),
    # lists, strings, positions and names
    "list": (
        lambda: mg.exp([1.0, 2.0]),
        TypeError,
        r"exp: an argument is a list; expected a Tensor, an array or a number \(mg\.tensor makes one of lists\)",
    ),
    "list beside a Tensor": (lambda: x * [1.0, 2.0, 3.0], TypeError, "multiply: an argument is a list"),
    "list to a reduction": (lambda: mg.sum([1.0, 2.0]), TypeError, "sum: an argument is a list"),
    "list to var": (lambda: mg.var([1.0, 2.0]), TypeError, "var: .*list"),
    "list to prod": (lambda: mg.prod([1.0, 2.0]), TypeError, "prod: .*list"),
    "list to matmul": (lambda: mg.matmul([[1.0]], x), TypeError, "matmul: .*list"),
    "list to linear": (lambda: mg.linear([[1.0]], w), TypeError, "linear: .*list"),
    "list to einsum": (lambda: mg.einsum("i->", [1.0]), TypeError, "einsum: .*list"),
    "list to moveaxis": (lambda: mg.moveaxis([1.0], 0, 0), TypeError, "moveaxis: .*list"),
    "list to squeeze": (lambda: mg.squeeze([1.0]), TypeError, "squeeze: .*list"),
    "list to split": (lambda: mg.split([1.0, 2.0], 2), TypeError, "split: .*list"),
    "list to tile": (lambda: mg.tile([1.0, 2.0], (2,)), TypeError, "tile: .*list"),
    "list to gather": (lambda: mg.gather([1.0], np.array([0]), axis=0), TypeError, "gather: .*list"),
    "lists to stack": (lambda: mg.stack([[1.0], [2.0]]), TypeError, "stack: .*list"),
    "lists to concatenate": (
        lambda: mg.concatenate([[1.0], [2.0]]),
        TypeError,
        "(join|concatenate): an argument is a list",
    ),
    "string": (lambda: x + "1", TypeError, "add: an argument is a str"),
    "None": (lambda: x + None, TypeError, r"add: .*b = None"),
    "number to a reduction": (lambda: mg.sum(2.0), TypeError, r"sum: .*x = 2\.0"),
    "number to reshape": (lambda: mg.reshape(2.0, shape=(1,)), TypeError, r"reshape: .*x = 2\.0"),
    "array by keyword and position": (lambda: mg.exp(x, x=x), TypeError, "exp: x is given twice, by position and by"),
    "list as a Tensor": (lambda: mg.Tensor([1.0, 2.0], requires_grad=True), TypeError, "Tensor: .*list.*tensor"),
    "ragged list": (
        lambda: mg.tensor([[1.0], [2.0, 3.0]]),
        (TypeError, ValueError),
        "tensor: .*lists of equal lengths|inhomogeneous",
    ),
    "text as data": (
        lambda: mg.tensor(["a"]),
        TypeError,
        "tensor: the data makes an array of .*; expected numbers in lists of equal lengths",
    ),
    "form of gelu": (
        lambda: mg.gelu(x, form="erf"),
        ValueError,
        r"gelu: form 'erf' is unknown; it is one of \('exact', 'tanh'\)",
    ),
    "unknown keyword": (lambda: mg.softmax(x, dim=1), TypeError, "softmax: .*dim"),
    # gradients
    "integers": (
        lambda: mg.tensor([1, 2], requires_grad=True),
        TypeError,
        r"a gradient needs floating-point values, not int64; .*x\.astype\('float32'\)",
    ),
    "booleans": (lambda: mg.Tensor(np.array([True]), requires_grad=True), TypeError, "not bool"),
    "non-scalar": (
        lambda: (x * 2.0).backward(),
        RuntimeError,
        r"backward: an output of shape \(2, 3\) needs a cotangent of that shape",
    ),
    "non-scalar grad": (
        lambda: mg.grad(x * 2.0, x),
        RuntimeError,
        r"grad: an output of shape \(2, 3\) needs a cotangent",
    ),
    "cotangent": (
        lambda: (x * 2.0).backward(np.ones(3)),
        ValueError,
        r"backward: the cotangent has shape \(3,\), its output \(2, 3\)",
    ),
    "too few cotangents": (
        lambda: mg.grad([x * 2.0, x * 3.0], x, [np.ones((2, 3))]),
        ValueError,
        "grad: 1 cotangents? .*2 outputs",
    ),
    "constant": (
        lambda: mg.sum(x.detach()).backward(),
        RuntimeError,
        "backward: output 0 requires no grad: it was computed from constants only",
    ),
    "constant input": (
        lambda: mg.grad(mg.sum(x), [x, w.detach()]),
        ValueError,
        r"grad: inputs\[1\] of shape \(2, 4\) does not require grad",
    ),
    "unused": (
        lambda: mg.grad(mg.sum(x), w),
        ValueError,
        r"grad: no output depends on inputs\[0\] of shape \(2, 4\); pass allow_unused=True",
    ),
    "freed": (lambda: freed.backward(), RuntimeError, "backward: the graph at sum was freed .*retain_graph=True"),
    "backward inputs": (
        lambda: mg.sum(x).backward(inputs=[x * 2.0]),
        ValueError,
        r"backward: inputs must be leaves .*minigen\.grad",
    ),
    "backward constant": (
        lambda: mg.sum(x).backward(inputs=[x.detach()]),
        ValueError,
        "backward: inputs must be leaves that require grad",
    ),
    "grad of an array": (lambda: mg.grad(np.ones(2), x), TypeError, "grad: .*array|grad: .*Tensor"),
    # indexing
    "float index": (lambda: x[1.0], TypeError, "index: float is not an index; expected integers, slices, None"),
    "float array index": (lambda: x[np.array([1.0])], TypeError, "index: float64 is not an index"),
    "string index": (lambda: x["a"], TypeError, "index: str is not an index"),
    "index too large": (lambda: x[2], IndexError, r"take: index 2 is out of bounds .*x \(2, 3\) float64"),
    "array index too large": (lambda: x[np.array([0, 2])], IndexError, r"take: index 2 is out of bounds"),
    "too many indices": (lambda: x[0, 0, 0], IndexError, "take: too many indices"),
    "mask of another shape": (lambda: x[np.ones((3, 2), bool)], IndexError, r"take: boolean index .*x \(2, 3\)"),
    "gather too large": (
        lambda: mg.gather(x, np.array([[3], [0]]), axis=1),
        IndexError,
        r"gather: indices in \[0, 3\]; expected integers in \[0, 3\)",
    ),
    "gather below 0": (
        lambda: mg.gather(x, mg.tensor([[-1], [0]]), axis=1),
        IndexError,
        r"gather: indices in \[-1, 0\]; expected integers in \[0, 3\)",
    ),
    "gather from nothing": (
        lambda: mg.gather(leaf(0, 3), np.zeros((1, 3), int), axis=0),
        IndexError,
        r"gather: indices in \[0, 0\]; expected integers in \[0, 0\)",
    ),
    "gather floats": (
        lambda: mg.gather(x, np.zeros((2, 1)), axis=1),
        TypeError,
        r"gather: indices of float64; expected an array or a Tensor of integers in \[0, 3\)",
    ),
    "gather booleans": (lambda: mg.gather(x, np.zeros((2, 1), bool), axis=1), TypeError, "gather: indices of bool"),
    "scatter_add below 0": (
        lambda: mg.scatter_add(x, np.array([[-1], [0]]), leaf(2, 1), axis=1),
        IndexError,
        r"scatter_add: indices in \[-1, 0\]; expected integers in \[0, 3\)",
    ),
    # Einstein sums
    "einsum count": (
        lambda: mg.einsum("ij,jk->ik", x),
        ValueError,
        "einsum: 'ij,jk->ik' describes 2 arrays, but 1 were given",
    ),
    "einsum axes": (
        lambda: mg.einsum("ijk->i", x),
        ValueError,
        "einsum: 'ijk' in 'ijk->i' names 3 axes of an array that has 2",
    ),
    "einsum too few letters": (
        lambda: mg.einsum("i->i", x),
        ValueError,
        "einsum: 'i' in 'i->i' names 1 axes of an array that has 2",
    ),
    "einsum lengths": (
        lambda: mg.einsum("ij,ij->i", x, w),
        ValueError,
        r"einstein_sum: .*\(2, 3\) float64, .*\(2, 4\) float64",
    ),
    "einsum diagonal": (
        lambda: mg.einsum("ii->", leaf(1, 5)),
        ValueError,
        r"einsum: 'ii' in 'ii->' reads a diagonal, whose axes must be of one length; array 0 has shape \(1, 5\)",
    ),
    "einsum diagonal in the second array": (
        lambda: mg.einsum("i,jij->", leaf(2), leaf(3, 2, 1)),
        ValueError,
        r"einsum: 'jij' in 'i,jij->' reads a diagonal, .* array 1 has shape \(3, 2, 1\)",
    ),
    "einsum output": (lambda: mg.einsum("ij->ik", x), ValueError, "einstein_sum: .*'?k'?"),
    "einsum output twice": (lambda: mg.einsum("ij->ii", x), ValueError, "einstein_sum: .*multiple times"),
    "einsum ellipsis": (lambda: mg.einsum("...j->j", x), ValueError, r"einsum: .*'\.\.\.j->j'"),
    # images
    "max_pool2d axes": (
        lambda: mg.max_pool2d(x, kernel_size=2),
        ValueError,
        r"max_pool2d: x has shape \(2, 3\); expected images \(N, H, W, C\)",
    ),
    "max_pool2d of small images": (
        lambda: mg.max_pool2d(leaf(1, 2, 4, 1), kernel_size=3),
        ValueError,
        r"max_pool2d: no window of kernel_size 3 fits into x, \(N, H, W, C\) = \(1, 2, 4, 1\), with padding 0",
    ),
    "avg_pool2d kernel_size": (
        lambda: mg.avg_pool2d(leaf(1, 4, 4, 1), kernel_size=(2, 0)),
        ValueError,
        r"avg_pool2d: kernel_size is \(2, 0\), expected a whole number of at least 1, or two of them",
    ),
    "avg_pool2d stride": (
        lambda: mg.avg_pool2d(leaf(1, 4, 4, 1), kernel_size=2, stride=0.5),
        ValueError,
        r"avg_pool2d: stride is 0\.5, expected a whole number of at least 1, or two of them",
    ),
    "max_pool2d padding": (
        lambda: mg.max_pool2d(leaf(1, 4, 4, 1), kernel_size=3, padding=(1, 2)),
        ValueError,
        r"max_pool2d: padding \(1, 2\) is more than half of kernel_size 3",
    ),
    "upsample2d mode": (
        lambda: mg.upsample2d(leaf(1, 2, 2, 1), factor=2, mode="cubic"),
        ValueError,
        "upsample2d: mode 'cubic' is unknown; it is 'nearest' or 'bilinear'",
    ),
    "upsample2d factor": (
        lambda: mg.upsample2d(leaf(1, 2, 2, 1), factor=1.5),
        ValueError,
        r"upsample2d: factor is 1\.5, expected a whole number of at least 1",
    ),
    "pixel_shuffle": (
        lambda: mg.pixel_shuffle(leaf(1, 2, 2, 6), factor=2),
        ValueError,
        r"pixel_shuffle: the 6 channels of x \(1, 2, 2, 6\) do not divide into blocks of 2 x 2",
    ),
    "pixel_unshuffle": (
        lambda: mg.pixel_unshuffle(leaf(1, 4, 3, 1), factor=2),
        ValueError,
        r"pixel_unshuffle: x, \(N, H, W, C\) = \(1, 4, 3, 1\), does not divide into blocks of 2 x 2",
    ),
    "normalize axes": (
        lambda: mg.normalize(x, axes=(2,)),
        ValueError,
        r"normalize: axis \(2,\) must name distinct axes from -2 to 1",
    ),
    "normalize weight": (
        lambda: mg.normalize(x, leaf(2), axes=(0,)),
        ValueError,
        r"normalize_groups: .*x \(2, 3\) float64, weight \(2,\) float64",
    ),
    "list to normalize": (lambda: mg.normalize([1.0], axes=(0,)), TypeError, "normalize: .*list"),
    "list to max_pool2d": (lambda: mg.max_pool2d([1.0], kernel_size=2), TypeError, "max_pool2d: .*list"),
    # devices
    "unknown device": (lambda: x.to("cuda"), ValueError, "device 'cuda' is unknown; the devices are 'cpu' and 'gpu'"),
    "unknown device at creation": (lambda: mg.zeros(2, device="tpu"), ValueError, "device 'tpu' is unknown"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_a_bad_call_is_answered_by_name(name):
    call, kind, message = BAD_CALLS[name]
    with pytest.raises(kind, match=message):
        call()


def test_the_same_words_for_tensors_and_for_raw_arrays():
    messages = []
    for a, b in ((x, w), (x.data, w.data)):
        with pytest.raises(ValueError, match="divide") as caught:
            mg.divide(a, b)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_an_error_of_numpy_stays_visible_as_the_cause():
    with pytest.raises(ValueError, match="reshape") as caught:
        mg.reshape(x, shape=(5,))
    assert isinstance(caught.value.__cause__, ValueError)


def test_index_of_a_list_of_floats_is_refused():
    with pytest.raises(TypeError, match="index: float64 is not an index"):
        index(np.ones(3), [0.0, 1.0])


@pytest.mark.parametrize(
    "kind", [MemoryError, type("OutOfMemoryError", (MemoryError,), {"__init__": lambda self, size, total, limit: None})]
)
def test_exhausted_memory_names_the_operation_the_shapes_and_a_way_out(kind, monkeypatch):
    def exhausted(*arrays, **settings):
        error = kind(*(() if kind is MemoryError else (1, 2, 3)))
        error.args = ("Out of memory allocating 4,096 bytes",)
        raise error

    monkeypatch.setattr(kernels, "convolve", exhausted)
    with pytest.raises(
        MemoryError, match=r"convolve: Out of memory .*; got x \(1, 3, 3, 1\) float64.*; a smaller batch needs less"
    ):
        mg.conv2d(leaf(1, 3, 3, 1), leaf(2, 2, 1, 1))


def out_of_memory(*arguments):
    raise type("OutOfMemoryError", (MemoryError,), {})("Out of memory allocating 4,096 bytes")


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("kind", ["vjp", "joint_vjp", "fused_vjp"])
def test_memory_exhausted_in_a_gradient_names_the_operation_and_what_it_saved(kind, create_graph, device):
    @primitive()
    def cubed(x):
        return x**3

    def slope(g, x):
        return out_of_memory()

    if kind == "vjp":
        cubed.vjp(x=slope)
    else:
        cubed.joint_vjp(slope)
    if kind == "fused_vjp":
        cubed.fused_vjp(slope)
    x = mg.tensor(np.ones((2, 3), "float32"), requires_grad=True, device=device)
    try:
        with pytest.raises(
            MemoryError,
            match=r"^cubed: Out of memory allocating 4,096 bytes, in its gradient; got the cotangent \(2, 3\) float32, "
            r"x \(2, 3\) float32; a smaller batch needs less$",
        ) as caught:
            mg.grad(mg.sum(cubed(x)), x, create_graph=create_graph)
        assert isinstance(caught.value.__cause__, MemoryError)
    finally:
        Primitive.registry.pop("cubed")


def test_memory_exhausted_in_an_operation_of_a_gradient_is_explained_once(monkeypatch, device):
    x = mg.tensor(np.ones((2, 3), "float32"), requires_grad=True, device=device)
    y = mg.sum(mg.relu(x))
    monkeypatch.setattr(kernels, "relu_backward", out_of_memory)
    with pytest.raises(
        MemoryError, match=r"^relu_backward: Out of memory .*; a smaller batch needs less, as does no_grad"
    ) as caught:
        y.backward()
    assert str(caught.value).count("a smaller batch") == 1
