"""Cases of sorting."""

import numpy as np

import minigen as mg
from ops.cases.case import case, fixed

for function, theirs, flows in ((mg.sort, np.sort, True), (mg.argsort, np.argsort, False)):
    case(function, fixed(5), expected=theirs, flows=flows)
    case(function, fixed(3, 4, 2), axis=1, expected=theirs, flows=flows, label="axis=1")
    case(function, fixed(3, 4), axis=None, expected=theirs, flows=flows, label="flattened")
    case(function, fixed(), axis=None, expected=theirs, flows=flows, label="()")
    case(function, fixed(3, 0), expected=theirs, flows=flows, label="empty")
