"""The frame of the examples: command line, new, resumed, evaluated and sampled runs, figures, pictures, the closing table."""

from minigen.lessons.command_line import read_command_line
from minigen.lessons.frame import CHECKPOINT, ORDER, Lesson, Picture, Rows, Samples, TrainingLesson, teach
from minigen.lessons.gans import NO_LIKELIHOOD, GANLesson, GANOptions, GANSettings, gan_defaults
from minigen.lessons.images import (
    Binarization,
    ColourImageSet,
    DataOptions,
    ImageLesson,
    ImageOptions,
    ImageSet,
    ImageSettings,
    load_extractor,
)
from minigen.lessons.latents import SHOWN, LatentLesson, LatentOptions, LatentSettings, Plane
from minigen.lessons.line import LineLesson, LineSettings
from minigen.lessons.pixels import PROTOCOLS, PixelLesson, PixelSettings
from minigen.lessons.plane import HIGH_QUALITY, PlanarLesson, coverage_curves, sample_panels, spread
from minigen.lessons.settings import (
    Count,
    Device,
    NonNegative,
    OutputOptions,
    Positive,
    Range,
    Real,
    RunOptions,
    SamplingOptions,
    Seed,
    Settings,
    Share,
    TrainingSettings,
    Whole,
    optional,
)
from minigen.lessons.snapshots import Snapshots

__all__ = [
    "CHECKPOINT", "HIGH_QUALITY", "NO_LIKELIHOOD", "ORDER", "PROTOCOLS", "SHOWN", "Binarization", "ColourImageSet", "Count",
    "DataOptions", "Device", "GANLesson", "GANOptions", "GANSettings", "ImageLesson", "ImageOptions", "ImageSet", "ImageSettings",
    "LatentLesson", "LatentOptions", "LatentSettings", "Lesson", "LineLesson", "LineSettings", "NonNegative", "OutputOptions",
    "Picture", "PixelLesson", "PixelSettings", "PlanarLesson", "Plane", "Positive", "Range", "Real", "Rows", "RunOptions", "Samples",
    "SamplingOptions", "Seed", "Settings", "Share", "Snapshots", "TrainingLesson", "TrainingSettings", "Whole", "coverage_curves",
    "gan_defaults", "load_extractor", "optional", "read_command_line", "sample_panels", "spread", "teach",
]  # fmt: skip
