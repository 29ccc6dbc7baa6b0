"""Attention and its gradients; `reference` says what is computed."""
