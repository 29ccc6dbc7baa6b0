"""LSTMs over images: the walk from line to line, forward and backward."""
