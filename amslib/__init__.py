"""Adaptive Mutual Supervision for weakly-supervised temporal action localization."""

from . import openmp  # noqa: F401  (first: torch is loaded by the others)
from .config import Config
from .data import Dataset, Video, load
from .detections import Detection, read_detections, read_ground_truth, write_detections
from .evaluation import Evaluation, evaluate
from .grid import run_grid
from .inference import fuse, localize
from .losses import (
    classification_loss,
    coactivity_loss,
    localization_loss,
    pseudo_labels,
    topk_mean,
)
from .panel import evaluate_panel
from .records import Record
from .run import Run
from .sampler import (
    aggregate,
    align,
    erase_weights,
    sample_features,
    sample_positions,
    sampling_weights,
)
from .train import train

__version__ = "0.1.0"

__all__ = [
    "Config",
    "Dataset",
    "Detection",
    "Evaluation",
    "Record",
    "Run",
    "Video",
    "aggregate",
    "align",
    "classification_loss",
    "coactivity_loss",
    "erase_weights",
    "evaluate",
    "evaluate_panel",
    "fuse",
    "load",
    "localization_loss",
    "localize",
    "pseudo_labels",
    "read_detections",
    "read_ground_truth",
    "run_grid",
    "sample_features",
    "sample_positions",
    "sampling_weights",
    "topk_mean",
    "train",
    "write_detections",
]
