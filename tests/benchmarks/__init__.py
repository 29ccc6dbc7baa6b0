"""The benchmarks' helpers, which are imported as the benchmarks import each other."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(FOLDER))
