"""Cases of powers, and of exponentials and logarithms to other bases than e."""

import numpy as np

import minigen as mg
from ops.cases.case import away, binary, normal, positive, unary

unary(mg.square, normal, np.square)
unary(mg.reciprocal, away, np.reciprocal)
unary(mg.exp2, normal, np.exp2)
unary(mg.log2, positive, np.log2)
unary(mg.log10, positive, np.log10)
binary(mg.logaddexp, normal, np.logaddexp)
