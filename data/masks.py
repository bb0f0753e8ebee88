"""Irregular hole masks from human strokes (QD-IMD) and the other hole shapes of the field.

QD-IMD is Algorithm 1 of Iskakov, "Semi-parametric Image Inpainting" (2018)::

    1  canvas <- empty 256 x 256
    2  n ~ N(4, 2)                              number of strokes
    3  n times: a random stroke of the bank, drawn with a line width ~ U(5, 15) px
    4  upscale the canvas by a factor ~ U(1, 1.5)
    5  crop the central 256 x 256
    6  binarise

What the paper leaves open is settled here:

- N(4, 2) has mean 4 and *standard deviation* 2; it is rounded and redrawn while it is under 1.
- All strokes of the split's categories are equally likely, so long drawings count more.
- The 256-box of a drawing covers the canvas, pixel (0, 0) on point (0, 0). The published drawings
  are pushed to the top-left of their box, which would make holes three times as common there as
  at the bottom-right, so a drawing is first centred in its box (``placement="corner"`` leaves it).
- Joins and caps are round. OpenCV draws widths in steps of 2 px: the nearest odd one is taken.
- Drawing, upscaling and cropping are done at once, on the coordinates: lines are drawn sharp at
  their final place and width, so nothing is resampled and the result is binary by construction.
- A mask without a hole is drawn again.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import cv2
import numpy as np

from ..errors import InputError, expect_one_of
from .buckets import BUCKET_EDGES, bucket_of
from .categories import USUAL_SHARE, is_for_testing
from .hole_shapes import Box, random_blocks, random_box, random_region
from .recipes import CANVAS, Mask, Recipe, draw_strokes
from .strokes import StrokeBank

Split = Literal["train", "test"]
Shape = Literal[
    "strokes", "center", "left", "right", "eyes", "mouth", "random-box", "random-block",
    "random-region",
]  # fmt: skip
Placement = Literal["center", "corner"]

FIXED_BOXES: Final[dict[str, Box]] = {
    "center": (0.25, 0.25, 0.75, 0.75),
    "left": (0.0, 0.0, 0.5, 1.0),
    "right": (0.5, 0.0, 1.0, 1.0),
    "eyes": (0.14, 0.18, 0.85, 0.39),
    "mouth": (0.23, 0.60, 0.75, 0.87),
}
"""Holes that are always the same; those of eyes and mouth are for aligned faces.

Of 400 photos of UTKFace, 95 % have all of dlib's landmarks of that part inside.
"""
_OF_STROKES: Final = (
    "strokes_mean", "strokes_std", "width_min", "width_max", "scale_min", "scale_max",
    "strokes_per_drawing", "placement", "test_share",
)  # fmt: skip
_MAX_ATTEMPTS = 10_000


@dataclass(frozen=True)
class MaskConfig:
    """What masks are drawn; the defaults are Algorithm 1's.

    Attributes:
        size: side of the square masks, in pixels.
        seed: with split and index, it determines a mask wholly.
        shape: "strokes" is QD-IMD. "center": the central square of a quarter of the area;
            "left", "right": that half; "eyes", "mouth": where they are in an aligned face;
            "random-box": one of these five, each side moved by up to 0.15 of the picture's;
            "random-block": overlapping blocks, a quarter in all; "random-region": blobs of
            arbitrary shape, a quarter in all (Pathak et al. 2016, section 3.3; Yeh et al. 2017,
            section 4).
        strokes_mean: mean of the normal distribution of the number of strokes.
        strokes_std: its standard deviation.
        width_min: least line width, in pixels of the 256-canvas.
        width_max: greatest line width.
        scale_min: least upscaling.
        scale_max: greatest upscaling.
        strokes_per_drawing: how many strokes are taken, from the chosen one on, of each drawing.
        placement: "center" centres each drawing in its 256-box, "corner" leaves it top-left.
        test_share: share of all names of categories that only the test split draws from; see
            `categories`.
        balanced: aim mask i at bucket i % 6, adding strokes until the hole is large enough.
    """

    size: int = 256
    seed: int = 0
    shape: Shape = "strokes"
    strokes_mean: float = 4.0
    strokes_std: float = 2.0
    width_min: float = 5.0
    width_max: float = 15.0
    scale_min: float = 1.0
    scale_max: float = 1.5
    strokes_per_drawing: int = 1
    placement: Placement = "center"
    test_share: float = USUAL_SHARE
    balanced: bool = False

    def __post_init__(self) -> None:
        _need(8 <= self.size <= 16384, "size", "8 to 16384", self.size)
        _need(0 <= self.seed < 1 << 63, "seed", "0 to 2^63 - 1", self.seed)
        _need(self.shape in get_args(Shape), "shape", " ".join(get_args(Shape)), self.shape)
        placements = get_args(Placement)
        _need(self.placement in placements, "placement", " ".join(placements), self.placement)
        strokes = (self.strokes_mean, self.strokes_std)
        _need(0.5 < self.strokes_mean <= 1000, "mean number of strokes", "0.5 to 1000", strokes)
        _need(0 <= self.strokes_std <= 1000, "deviation of it", "0 to 1000", strokes)
        widths = (self.width_min, self.width_max)
        _need(1 <= widths[0] <= widths[1] <= CANVAS, "line width", "1 to 256, least first", widths)
        scales = (self.scale_min, self.scale_max)
        _need(1 <= scales[0] <= scales[1] <= 16, "scale", "1 to 16, least first", scales)
        _need(
            self.strokes_per_drawing >= 1, "strokes per drawing", "1 up", self.strokes_per_drawing
        )
        _need(0 < self.test_share < 1, "test share", "between 0 and 1", self.test_share)
        if self.balanced and self.shape != "strokes":
            raise InputError(f"only strokes can be balanced over hole ratios, not {self.shape}")
        for name in _OF_STROKES if self.shape != "strokes" else ():
            if getattr(self, name) != getattr(type(self), name):
                words = name.replace("_", " ")
                raise InputError(f"{words}: only strokes have it; found the shape {self.shape}")


def _need(holds: bool, name: str, expected: str, found: object) -> None:
    if not holds:
        raise InputError(f"{name} must be {expected}; found {found}")


def split_categories(
    categories: Sequence[str], test_share: float = USUAL_SHARE
) -> dict[Split, tuple[str, ...]]:
    """Share out categories so that no stroke of a test mask was ever in a training mask.

    Each name has its side whatever the others are, so this holds between all banks and seeds.

    Args:
        categories: names; their order does not matter.
        test_share: share of all names that is for "test".

    Returns:
        the sorted names of each split; disjoint, and together all. One of them may be empty.
    """
    test = {name for name in categories if is_for_testing(name, test_share)}
    return {"train": tuple(sorted({*categories} - test)), "test": tuple(sorted(test))}


class MaskGenerator:
    """Draws masks: a pure function of (seed, split, index).

    Any mask can be drawn on any machine, in any order, by any number of workers, to the same
    bytes.

    Args:
        bank: strokes to draw with; may be None for shapes other than "strokes".
        config: what to draw.
        split: "train" and "test" use strokes of disjoint categories and other random numbers.

    Raises:
        InputError: strokes are to be drawn and there is no bank, or one without a category of the
            split.
    """

    def __init__(
        self, bank: StrokeBank | None, config: MaskConfig | None = None, split: Split = "train"
    ) -> None:
        self.config = config or MaskConfig()
        expect_one_of("split", split, get_args(Split))
        self.split = split
        self._key = np.array([self.config.seed, get_args(Split).index(split)], dtype=np.uint64)
        if self.config.shape != "strokes":
            return
        if bank is None:
            raise InputError("masks of shape strokes need a stroke bank")
        self.bank = bank
        self.categories = split_categories(bank.categories, self.config.test_share)[split]
        if not self.categories:
            found = ", ".join(bank.categories[:5]) + (", …" if len(bank.categories) > 5 else "")
            raise InputError(
                f"strokes: expected drawings of a category that is for {split} masks, found only "
                f"others ({found}); import more categories, or change the test share, "
                f"{self.config.test_share}"
            )
        ranges = bank.row_ranges(self.categories)
        self._ends = np.cumsum(ranges[:, 1] - ranges[:, 0])
        # What to add to a position among the split's strokes to get the row in the bank.
        self._offsets = ranges[:, 1] - self._ends

    def __getitem__(self, index: int) -> Mask:
        """Mask `index` (0 or more): (size, size) uint8, 1 = hole.

        Raises:
            IndexError: less than 0.
        """
        if operator.index(index) < 0:
            raise IndexError(f"masks are numbered from 0, not {index}")
        out = np.empty((self.config.size, self.config.size), dtype=np.uint8)
        self.draw(index, out)
        return out

    def fill(self, start: int, out: Mask) -> None:
        """Draw masks start, start + 1, … over `out`, (n, size, size) uint8, C-contiguous."""
        numbers = self._numbers()
        for index, mask in enumerate(out, start):
            self._draw(numbers(index), index, mask)

    def draw(self, index: int, out: Mask) -> Recipe:
        """Draw mask `index` over `out`, (size, size) uint8, and tell its recipe.

        Raises:
            InputError: no mask as asked for is found, such as a hole ratio of 0.6 in thin lines.
        """
        return self._draw(self._numbers()(index), index, out)

    def _numbers(self) -> Callable[[int], np.random.Generator]:
        """What gives the random numbers of any mask, from their start.

        A counter-based generator is set to mask i by its counter; a new one would cost as much as
        drawing two strokes.
        """
        bits = np.random.Philox(key=self._key)
        rng, state = np.random.Generator(bits), bits.state

        def numbers(index: int) -> np.random.Generator:
            state["state"]["counter"][:] = (0, index, 0, 0)
            bits.state = state
            return rng

        return numbers

    def _draw(self, rng: np.random.Generator, index: int, out: Mask) -> Recipe:
        if self.config.shape != "strokes":
            recipe = self._other_shape(rng)
            recipe.draw(out)
            return recipe
        for _ in range(_MAX_ATTEMPTS):
            recipe = self._balanced(rng, index, out) if self.config.balanced else self._plain(rng)
            if not self.config.balanced:
                recipe.draw(out)
            if self._accepts(index, out):
                return recipe
        raise InputError(
            f"no mask as asked for in {_MAX_ATTEMPTS} tries; "
            "widen the line width, the number of strokes or the scale"
        )

    def _accepts(self, index: int, out: Mask) -> bool:
        holes = cv2.countNonZero(out)
        if not self.config.balanced:
            return holes > 0
        return int(bucket_of(holes / out.size)) == index % (len(BUCKET_EDGES) - 1)

    def _plain(self, rng: np.random.Generator) -> Recipe:
        """One run of Algorithm 1, not yet drawn."""
        count = 0
        while count < 1:
            count = round(rng.normal(self.config.strokes_mean, self.config.strokes_std))
        return self._strokes(rng, count, rng.uniform(self.config.scale_min, self.config.scale_max))

    def _balanced(self, rng: np.random.Generator, index: int, out: Mask) -> Recipe:
        """Strokes, one after another, until a ratio drawn from the wanted bucket is reached."""
        bucket = index % (len(BUCKET_EDGES) - 1)
        goal = rng.uniform(BUCKET_EDGES[bucket], BUCKET_EDGES[bucket + 1]) * out.size
        scale = rng.uniform(self.config.scale_min, self.config.scale_max)
        strokes: list[Recipe] = []
        out[:] = 0
        while cv2.countNonZero(out) < goal and len(strokes) < _MAX_ATTEMPTS:
            strokes.append(self._strokes(rng, 1, scale))
            draw_strokes(strokes[-1].points, strokes[-1].lengths, strokes[-1].widths, scale, out)
        return Recipe(
            stroke_ids=sum((s.stroke_ids for s in strokes), ()),
            points=np.concatenate([s.points for s in strokes]),
            lengths=sum((s.lengths for s in strokes), ()),
            widths=sum((s.widths for s in strokes), ()),
            scale=scale,
        )

    def _strokes(self, rng: np.random.Generator, count: int, scale: float) -> Recipe:
        """Step 3's random choices for `count` drawings."""
        picks = (rng.random(count) * self._ends[-1]).astype(np.int64)
        ranges = np.searchsorted(self._ends, picks, side="right")
        rows = (picks + self._offsets[ranges]).tolist()
        if (most := self.config.strokes_per_drawing) > 1:
            rows = [r for row in rows for r in range(row, self.bank.drawing_rows(row).stop)[:most]]
        low, high = self.config.width_min, self.config.width_max
        widths = low + (high - low) * rng.random(len(rows))
        strokes = [self.bank.stroke(row) for row in rows]
        lengths = [len(stroke) for stroke in strokes]
        points = np.concatenate(strokes)
        if self.config.placement == "center":
            margins = (255 - np.array([self.bank.box(row) for row in rows])) // 2  # (strokes, 2)
            points += np.repeat(margins, lengths, axis=0)
        return Recipe(tuple(rows), points, tuple(lengths), tuple(widths.tolist()), scale)

    def _other_shape(self, rng: np.random.Generator) -> Recipe:
        if self.config.shape == "random-box":
            return Recipe(boxes=(random_box(tuple(FIXED_BOXES.values()), rng),))
        if self.config.shape == "random-block":
            return Recipe(boxes=random_blocks(rng))
        if self.config.shape == "random-region":
            return Recipe(region=random_region(rng))
        return Recipe(boxes=(FIXED_BOXES[self.config.shape],))
