"""Recurrent networks: the walk through time, forward and backward."""
