"""The frame of the examples: command line, new, resumed, evaluated and sampled runs, figures, pictures, the closing table."""

from minigen.lessons.command_line import read_command_line
from minigen.lessons.frame import CHECKPOINT, ORDER, Lesson, Picture, Rows, Samples, TrainingLesson, teach
from minigen.lessons.images import (
    Binarization,
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
    DrawingOptions,
    Range,
    Rate,
    Real,
    RunOptions,
    SamplingOptions,
    Settings,
    Share,
    TrainingSettings,
    Weight,
    Whole,
    optional,
)
from minigen.lessons.snapshots import Snapshots

__all__ = [
    "CHECKPOINT", "HIGH_QUALITY", "ORDER", "PROTOCOLS", "SHOWN", "Binarization", "Count", "DataOptions", "Device", "DrawingOptions",
    "ImageLesson", "ImageOptions", "ImageSet", "ImageSettings", "LatentLesson", "LatentOptions", "LatentSettings", "Lesson",
    "LineLesson", "LineSettings", "Picture", "PixelLesson", "PixelSettings", "PlanarLesson", "Plane", "Range", "Rate", "Real", "Rows",
    "RunOptions", "Samples", "SamplingOptions", "Settings", "Share", "Snapshots", "TrainingLesson", "TrainingSettings", "Weight",
    "Whole", "coverage_curves", "load_extractor", "optional", "read_command_line", "sample_panels", "spread", "teach",
]  # fmt: skip
