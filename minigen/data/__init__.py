"""Data sets of numbers and of images, one- and two-dimensional densities with exact answers, and batches."""

from minigen.data.batches import Batches, density_batches
from minigen.data.binarization import BINARIZATIONS, BinaryBatches, binarize
from minigen.data.clutter import Cluttered, clutter
from minigen.data.corruption import CORRUPTIONS, corruption
from minigen.data.densities import (
    TARGETS,
    Density,
    Empirical,
    Gaussian,
    GaussianMixture,
    Laplace,
    Uniform,
    empirical_density,
    target,
)
from minigen.data.dequantization import DequantizedBatches, dequantize
from minigen.data.emoji import Emoji, load_emoji
from minigen.data.faces import FACES, FaceFactors
from minigen.data.factored import Factored, Reading
from minigen.data.geyser import Geyser, load_geyser
from minigen.data.idx import read_idx
from minigen.data.image_sets import IMAGE_SETS, load_images
from minigen.data.images import Images, balanced_draw, coloured, load_digits, split
from minigen.data.kernel_density import (
    estimated_modes,
    kernel_density,
    sheather_jones_bandwidth,
    silverman_bandwidth,
)
from minigen.data.mnist import load_fashion_mnist, load_mnist
from minigen.data.planar import PlanarDensity, PlanarMixture, grid, ring
from minigen.data.planar_curves import (
    PLANAR_TARGETS,
    Circles,
    Pinwheel,
    moons,
    planar_target,
    spirals,
)
from minigen.data.quadrants import conceal, fill_in, hidden_quadrants
from minigen.data.shapes import SHAPE_WORDS, SHAPES, ShapeFactors
from minigen.data.surface import bent_sheet, bent_sheet_net
from minigen.data.table import read_column
from minigen.data.text import Text, TextStreams, load_shakespeare, passage_of, read_text, text_windows

__all__ = [
    "BINARIZATIONS",
    "CORRUPTIONS",
    "FACES",
    "IMAGE_SETS",
    "PLANAR_TARGETS",
    "SHAPES",
    "SHAPE_WORDS",
    "TARGETS",
    "Batches",
    "BinaryBatches",
    "Circles",
    "Cluttered",
    "Density",
    "DequantizedBatches",
    "Emoji",
    "Empirical",
    "FaceFactors",
    "Factored",
    "Gaussian",
    "GaussianMixture",
    "Geyser",
    "Images",
    "Laplace",
    "Pinwheel",
    "PlanarDensity",
    "PlanarMixture",
    "Reading",
    "ShapeFactors",
    "Text",
    "TextStreams",
    "Uniform",
    "balanced_draw",
    "bent_sheet",
    "bent_sheet_net",
    "binarize",
    "clutter",
    "coloured",
    "conceal",
    "corruption",
    "density_batches",
    "dequantize",
    "empirical_density",
    "estimated_modes",
    "fill_in",
    "grid",
    "hidden_quadrants",
    "kernel_density",
    "load_digits",
    "load_emoji",
    "load_fashion_mnist",
    "load_geyser",
    "load_images",
    "load_mnist",
    "load_shakespeare",
    "moons",
    "passage_of",
    "planar_target",
    "read_column",
    "read_idx",
    "read_text",
    "ring",
    "sheather_jones_bandwidth",
    "silverman_bandwidth",
    "spirals",
    "split",
    "target",
    "text_windows",
]
