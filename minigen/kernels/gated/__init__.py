"""The gated activation unit, and the way back."""
