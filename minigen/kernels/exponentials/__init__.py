"""Sums of exponentials, exponentials normalised by them, and the way back."""
