from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from simpaint.data.rasters import Stored
from simpaint.inpainter.painters import LastNetwork

from .tiny import FACE, painter, tiny_copy, tiny_sim, turned

MODES = ("1", "L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "P", "I;16")
TYPES = ("bool", "uint8", "uint16", "float32", "float64")


@st.composite
def stored_photos(draw: st.DrawFn) -> Stored:
    """A photo of any size and form."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    colours = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if draw(st.booleans()):
        return image_in(draw(st.sampled_from(MODES)), colours, rng)
    kind = draw(st.sampled_from(TYPES))
    shape = (height, width, *draw(st.sampled_from([(), (1,), (2,), (3,), (4,)])))
    values = rng.random(shape[:2] if kind == "bool" else shape)
    scale = {"uint8": 255, "uint16": 65535}.get(kind, 1)
    return values > 0.5 if kind == "bool" else (values * scale).astype(kind)


def image_in(
    mode: str, colours: np.ndarray[Any, np.dtype[np.uint8]], rng: np.random.Generator
) -> Image.Image:
    image = Image.fromarray(colours)
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 1 << 16, colours.shape[:2], dtype=np.uint16))
    if mode == "P":
        image = image.quantize(int(rng.integers(1, 257)))
    elif mode != "RGB":
        image = image.convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(colours[..., 0]))
    image.info["exif"] = turned(int(rng.integers(1, 9)))
    return image


@pytest.mark.parametrize("network", [tiny_sim, tiny_copy])
@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(photo=stored_photos(), data=st.data())
def test_known_pixels_are_bit_identical(
    network: Callable[[], LastNetwork], photo: Stored, data: st.DataObject
) -> None:
    shape = photo.shape[:2] if isinstance(photo, np.ndarray) else photo.size[::-1]
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    mask = rng.random(shape) < data.draw(st.sampled_from([0.0, 0.01, 0.5]))
    top, left = rng.integers(shape[0]), rng.integers(shape[1])
    mask[top : top + rng.integers(1, 60), left : left + rng.integers(1, 60)] = True
    mask[rng.integers(shape[0]), rng.integers(shape[1])] = False
    faces = [FACE] if data.draw(st.booleans()) else []
    out = painter(*faces, network=network)(photo, mask).photo
    assert type(out) is type(photo) or isinstance(photo, Image.Image)
    before, after = np.asarray(photo), np.asarray(out)
    assert (before.dtype, before.shape) == (after.dtype, after.shape)
    np.testing.assert_array_equal(after[~mask], before[~mask])
    if isinstance(photo, Image.Image):
        assert isinstance(out, Image.Image)
        assert (out.mode, out.getpalette(), out.info) == (
            photo.mode,
            photo.getpalette(),
            photo.info,
        )
    if photo_has_alpha(photo):
        opaque = np.iinfo(after.dtype).max if after.dtype.kind == "u" else 1
        np.testing.assert_array_equal(after[mask][:, -1], opaque)


def photo_has_alpha(photo: Stored) -> bool:
    if isinstance(photo, Image.Image):
        return photo.mode in ("LA", "RGBA")
    return photo.ndim == 3 and photo.shape[2] in (2, 4)
