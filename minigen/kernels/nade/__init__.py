"""The neural autoregressive distribution estimator: the walk over its sites, forward and backward."""
