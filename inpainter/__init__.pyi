from .checkpoint import load
from .copy_unet import CopyConfig, CopyUNet
from .evaluation import Evaluation, Outcome, evaluate
from .losses import LossWeights, inpainting_loss
from .measure.metrics import composite_8bit, measure_filled
from .painters import coarse_picture, load_coarse, paint_last
from .partial_conv import PartialConv2d
from .pipeline import Inpainter
from .train.recipes import RECIPES, Recipe, Stage
from .train.runs import PaintingRun, train_painting
from .training import RunOptions
from .unet import VARIANTS, PConvUNet, SimUNet, UNetConfig, build_unet
from .whole.work import Painted, Result

__all__ = [
    "RECIPES",
    "VARIANTS",
    "CopyConfig",
    "CopyUNet",
    "Evaluation",
    "Inpainter",
    "LossWeights",
    "Outcome",
    "PConvUNet",
    "Painted",
    "PaintingRun",
    "PartialConv2d",
    "Recipe",
    "Result",
    "RunOptions",
    "SimUNet",
    "Stage",
    "UNetConfig",
    "build_unet",
    "coarse_picture",
    "composite_8bit",
    "evaluate",
    "inpainting_loss",
    "load",
    "load_coarse",
    "measure_filled",
    "paint_last",
    "train_painting",
]
