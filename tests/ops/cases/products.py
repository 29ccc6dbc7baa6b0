"""Cases of NumPy's older products."""

import numpy as np

import minigen as mg
from ops.cases.case import case, normal

for product in ("dot", "inner"):
    ours, theirs = getattr(mg, product), getattr(np, product)
    case(ours, normal(3), normal(3), expected=theirs, label="vectors")
    case(ours, normal(2, 3), normal(3), expected=theirs, label="matrix,vector")
    case(ours, normal(), normal(2, 3), expected=theirs, label="number,matrix")
    case(ours, normal(2, 3), 0.7, expected=theirs, label="matrix,Python number")
    case(ours, normal(0), normal(0), expected=theirs, label="of nothing")
case(mg.dot, normal(3), normal(3, 2), expected=np.dot, label="vector,matrix")
case(mg.dot, normal(2, 3), normal(3, 2), expected=np.dot, label="matrices")
case(mg.dot, normal(2, 2, 3), normal(3, 2), expected=np.dot, label="stack,matrix")
case(mg.dot, normal(3), normal(2, 3, 4), expected=np.dot, label="vector,stack")
case(mg.dot, normal(2, 1, 3), normal(2, 3, 4), expected=np.dot, label="stacks")
case(mg.dot, normal(2, 1, 0), normal(2, 0, 4), expected=np.dot, label="stacks,over nothing")
case(mg.inner, normal(4, 3), normal(2, 3), expected=np.inner, label="matrices")
case(mg.inner, normal(2, 1, 3), normal(4, 2, 3), expected=np.inner, label="stacks")
case(mg.outer, normal(3), normal(2), expected=np.outer, label="vectors")
case(mg.outer, normal(2, 2), normal(), expected=np.outer, label="matrix,number")
case(mg.outer, 0.7, normal(2, 2), expected=np.outer, label="Python number,matrix")
case(mg.outer, normal(0), normal(2), expected=np.outer, label="empty")
case(mg.tensordot, normal(2, 3, 4), normal(3, 4, 2), expected=np.tensordot)
case(mg.tensordot, normal(2, 3), normal(2), axes=0, expected=np.tensordot, label="axes=0")
case(mg.tensordot, normal(2, 3, 4), normal(4, 3, 5), axes=((-1, 1), (0, 1)), expected=np.tensordot, label="pairs")
case(mg.tensordot, normal(2, 3, 4), normal(5, 3), axes=(1, 1), expected=np.tensordot, label="one axis each")
case(mg.tensordot, normal(2, 3), normal(2, 3), axes=2, expected=np.tensordot, label="all")
case(mg.tensordot, normal(), normal(2), axes=0, expected=np.tensordot, label="()")
case(mg.tensordot, 0.7, normal(2), axes=0, expected=np.tensordot, label="Python number")
case(mg.tensordot, normal(2, 0), normal(0, 3), axes=1, expected=np.tensordot, label="over nothing")
case(mg.kron, normal(2, 3), normal(3, 2), expected=np.kron, label="matrices")
case(mg.kron, normal(2), normal(1, 2, 3), expected=np.kron, label="vector,stack")
case(mg.kron, normal(), normal(2, 3), expected=np.kron, label="number,matrix")
case(mg.kron, normal(2, 3), 0.7, expected=np.kron, label="matrix,Python number")
case(mg.kron, normal(2, 0), normal(3, 2), expected=np.kron, label="empty")
