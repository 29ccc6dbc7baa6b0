"""Networks of masked convolutions and LSTMs, computed pixel by pixel in the order in which an image is drawn."""
