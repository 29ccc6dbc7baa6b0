"""Values of a group brought to mean 0 and variance 1, and the way back."""
