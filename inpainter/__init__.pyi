from .evaluation import Evaluation, Outcome, evaluate
from .losses import LossWeights, inpainting_loss
from .partial_conv import PartialConv2d
from .pipeline import Inpainter
from .train.recipes import RECIPES, Recipe, Stage
from .unet import VARIANTS, PConvUNet, SimUNet, UNetConfig, build_unet
from .whole.work import Painted, Result

__all__ = [
    "RECIPES",
    "VARIANTS",
    "Evaluation",
    "Inpainter",
    "LossWeights",
    "Outcome",
    "PConvUNet",
    "Painted",
    "PartialConv2d",
    "Recipe",
    "Result",
    "SimUNet",
    "Stage",
    "UNetConfig",
    "build_unet",
    "evaluate",
    "inpainting_loss",
]
