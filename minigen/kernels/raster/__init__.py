"""Networks of masked convolutions, computed pixel by pixel in the order in which an image is drawn."""
