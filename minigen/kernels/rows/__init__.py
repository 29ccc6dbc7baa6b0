"""Rows of a matrix that are picked by their numbers, as an embedding's, and their gradient."""
