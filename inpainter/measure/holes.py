"""Sets of holes that methods are measured on, each hole with the group it is counted in."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...data.buckets import BUCKET_EDGES, bucket_name, bucket_of, hole_ratio
from ...data.images import read_mask
from ...data.masks import FIXED_BOXES, MaskConfig, MaskGenerator, Shape
from ...data.recipe_table import TABLE
from ...data.recipes import Mask
from ...data.settings import read_settings
from ...data.sources import open_source
from ...data.strokes import StrokeBank
from ...errors import InputError

SHAPES: Final = (*(s for s in get_args(Shape) if s != "strokes"), "half")
"""Wide holes by name; "half" is the left half and the right half, in turn."""

BUCKETS: Final = len(BUCKET_EDGES) - 1


class Holes(Protocol):
    """A set of holes."""

    @property
    def groups(self) -> Sequence[str]:
        """The group of each hole: for strokes its bucket of hole ratios."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """All that determines the holes, as JSON values."""
        ...

    def draw(self, index: int, photo: int) -> Mask:
        """Hole `index`, for a photo whose row is `photo`: (S, S) uint8, 1 = hole."""
        ...


@dataclass(frozen=True)
class StrokeHoles:
    """QD-IMD strokes, as many in each of some buckets, of the test categories of a stroke bank.

    Attributes:
        bank: the strokes.
        size: side in pixels.
        seed: of the masks.
        count: holes in all.
        first: the smallest bucket.
        group: the one group that all count in; empty for their buckets.
    """

    bank: StrokeBank
    size: int
    seed: int
    count: int
    first: int = 0
    group: str = ""

    @property
    def groups(self) -> list[str]:
        """Bucket after bucket, in turn."""
        return [self.group or bucket_name(self._bucket(i)) for i in range(self.count)]

    @property
    def settings(self) -> dict[str, Any]:
        """Strokes and configuration."""
        config = asdict(self._config)
        return {"strokes": self.bank.fingerprint, "config": config, "count": self.count}

    @property
    def _config(self) -> MaskConfig:
        return MaskConfig(size=self.size, seed=self.seed, balanced=True)

    def _bucket(self, index: int) -> int:
        return self.first + index % (BUCKETS - self.first)

    def draw(self, index: int, photo: int) -> Mask:  # noqa: ARG002 - the protocol's
        """The balanced generator aims its mask i at bucket i % 6."""
        turn = index // (BUCKETS - self.first)
        generator = MaskGenerator(self.bank, self._config, "test")
        return generator[turn * BUCKETS + self._bucket(index)]


@dataclass(frozen=True)
class ShapeHoles:
    """One wide hole for each photo."""

    shape: str
    size: int
    seed: int
    count: int

    @property
    def groups(self) -> list[str]:
        """The shape's name."""
        return [self.shape] * self.count

    @property
    def settings(self) -> dict[str, Any]:
        """Shape, seed and count."""
        return {"shape": self.shape, "boxes": FIXED_BOXES.get(self.shape), "seed": self.seed,
                "count": self.count}  # fmt: skip

    def draw(self, index: int, photo: int) -> Mask:  # noqa: ARG002 - the protocol's
        """The generator's shape."""
        shape = ("left", "right")[index % 2] if self.shape == "half" else self.shape
        config = MaskConfig(size=self.size, seed=self.seed, shape=shape)  # type: ignore[arg-type]  # checked there
        return MaskGenerator(None, config, "test")[index]


class FolderHoles:
    """Masks that are files: a data set of `simpaint masks generate`, or any folder of pictures.

    Of a data set with test masks only these are taken. Files of another size are resized, taking
    the nearest pixel. The group is the bucket of the hole ratio as drawn. Masks are taken one of
    each bucket in turn, whatever their order in the folder: all of them, or so many of each.
    """

    def __init__(
        self,
        folder: Path,
        size: int,
        least: int,
        seed: int,
        *,
        black: bool,
        per_bucket: int | None = None,
    ) -> None:
        """List and read the masks.

        Args:
            folder: where they are.
            size: side in pixels.
            least: how many to take if there are fewer: from the start again after the last.
            seed: of the order within a bucket.
            black: holes are black in the files; a data set's own settings count more.
            per_bucket: take no more than so many of each bucket; None for all.

        Raises:
            InputError: no masks, or one without a hole.
            ImageError: a file cannot be used.
        """
        names, self._black = _listed(folder, black=black)
        self._size = size
        order = np.random.default_rng([seed, 0x3A5C]).permutation(len(names))
        self._files = [folder / names[i] for i in order]
        hashes, ratios = [], []
        for index, file in enumerate(self._files):
            mask = self.draw(index, 0)
            hashes.append(hashlib.sha256(np.packbits(mask).tobytes()).digest())
            ratios.append(float(hole_ratio(mask)))
            if not ratios[-1]:
                raise InputError(f"{file}: expected a mask with a hole, found none")
        buckets = [int(bucket) for bucket in bucket_of(ratios)]
        turns = _in_turn(buckets, per_bucket or len(buckets))
        taken = np.resize(turns, len(turns) if per_bucket else max(least, len(turns))).tolist()
        self._files = [self._files[index] for index in taken]
        self.groups = [bucket_name(buckets[index]) for index in taken]
        together = hashlib.sha256(b"".join(hashes[index] for index in taken)).hexdigest()
        self.settings = {"masks": together, "count": len(taken)}

    def draw(self, index: int, photo: int) -> Mask:  # noqa: ARG002 - the protocol's
        """Read the file."""
        size = (self._size, self._size)
        return read_mask(self._files[index], size, black_holes=self._black).astype(np.uint8)


def _in_turn(buckets: Sequence[int], most: int) -> list[int]:
    """Positions in an order in which the first of each bucket come first, then the second ones.

    No more than so many of each bucket.
    """
    seen = dict.fromkeys(buckets, 0)
    turns = []
    for bucket in buckets:
        turns.append(seen[bucket])
        seen[bucket] += 1
    taken = [place for place, turn in enumerate(turns) if turn < most]
    return sorted(taken, key=lambda i: (turns[i], buckets[i] % (BUCKETS + 1)))


def _listed(folder: Path, *, black: bool) -> tuple[list[str], bool]:
    """The masks' names, and whether their holes are black."""
    if not (folder / TABLE).exists():
        if (folder / "settings.json").exists():
            raise InputError(f"{folder}: expected a finished mask data set, found no {TABLE}")
        if not folder.is_dir():
            raise InputError(f"{folder}: expected a folder of masks, or `balanced`; found nothing")
        names = open_source(folder).names
    else:
        try:
            table = pq.read_table(folder / TABLE, columns=["file", "split"])
        except pa.ArrowException as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{folder / TABLE}: expected a table of masks, found: {reason}"
            ) from error
        test = table.filter(pc.equal(table["split"], "test"))
        names = (test if len(test) else table)["file"].to_pylist()
        settings = read_settings(folder / "settings.json")
        if "black_holes" not in settings:
            raise InputError(
                f"{folder / 'settings.json'}: expected the settings of a mask data set, found none "
                "that say whether holes are black"
            )
        black = bool(settings["black_holes"])
    if not names:
        raise InputError(f"{folder}: expected masks, found none")
    return names, black
