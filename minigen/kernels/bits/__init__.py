"""The log-probability of a row of bits, given their logits, and the way back."""
