"""Convolution, its transpose and the gradient of its weight: `geometry` says which pixels meet, `reference` what is computed."""
