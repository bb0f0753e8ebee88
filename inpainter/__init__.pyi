from .losses import LossWeights, inpainting_loss
from .partial_conv import PartialConv2d
from .recipes import RECIPES, Recipe, Stage
from .unet import VARIANTS, PConvUNet, SimUNet, UNetConfig, build_unet

__all__ = [
    "RECIPES",
    "VARIANTS",
    "LossWeights",
    "PConvUNet",
    "PartialConv2d",
    "Recipe",
    "SimUNet",
    "Stage",
    "UNetConfig",
    "build_unet",
    "inpainting_loss",
]
