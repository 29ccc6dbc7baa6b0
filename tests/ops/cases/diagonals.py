"""Cases of diagonals of matrices, and of what lies above and below them."""

import numpy as np

import minigen as mg
from ops.cases.case import case, normal

for ours, theirs in ((mg.diagonal, np.diagonal), (mg.trace, np.trace)):
    case(ours, normal(3, 3), expected=theirs)
    case(ours, normal(3, 4), offset=2, expected=theirs, label="above")
    case(ours, normal(4, 3), offset=-1, expected=theirs, label="below")
    case(ours, normal(2, 3), offset=5, expected=theirs, label="outside,above")
    case(ours, normal(3, 2), offset=-4, expected=theirs, label="outside,below")
    case(ours, normal(2, 3, 4), offset=1, axis1=-1, axis2=0, expected=theirs, label="stack")
    case(ours, normal(2, 0, 3), axis1=1, axis2=2, expected=theirs, label="empty")
case(mg.diag, normal(3), expected=np.diag, label="vector")
case(mg.diag, normal(3), k=1, expected=np.diag, label="vector,above")
case(mg.diag, normal(2), k=-2, expected=np.diag, label="vector,below")
case(mg.diag, normal(0), expected=np.diag, label="vector,empty")
case(mg.diag, normal(3, 4), k=-1, expected=np.diag, label="matrix")
for ours, theirs in ((mg.tril, np.tril), (mg.triu, np.triu)):
    case(ours, normal(3, 3), expected=theirs)
    case(ours, normal(3, 4), k=1, expected=theirs, label="above")
    case(ours, normal(2, 4, 3), k=-1, expected=theirs, label="stack,below")
    case(ours, normal(2, 3), k=-7, expected=theirs, label="outside")
    case(ours, normal(0, 3), expected=theirs, label="empty")
