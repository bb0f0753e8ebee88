"""What a mask data set is made from: the generator, or another data set's recipes."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from .masks import MaskConfig, MaskGenerator, Split, split_categories
from .recipe_table import TABLE, TABLE_SCHEMA, recipe_from_row
from .recipes import Mask, Recipe
from .strokes import StrokeBank

SPLITS: tuple[Split, ...] = ("train", "test")


class MaskSource(Protocol):
    """Where the masks of a data set come from; handed to worker processes."""

    @property
    def counts(self) -> dict[Split, int]:
        """How many masks of each split."""

    @property
    def settings(self) -> dict[str, Any]:
        """All that determines the masks, as JSON values; "masks" says in words what they are."""

    @property
    def size(self) -> int:
        """Side of the masks in pixels."""

    def draw(self, split: Split, index: int, out: Mask) -> tuple[Recipe, list[int]]:
        """Draw a mask over `out`, (size, size) uint8; its recipe and its drawings' ids."""


class GeneratedMasks:
    """Masks drawn by `MaskGenerator`, train and test from disjoint categories.

    Args:
        bank: the strokes; None for shapes other than strokes.
        config: the masks' configuration.
        train: number of training masks.
        test: number of test masks.
        per_bucket: instead of `test`, which is 0: this many test masks in each of the six buckets.

    Raises:
        InputError: no mask is asked for; `test` and `per_bucket` both are; or strokes are to be
            drawn and there is no bank, or one of a single category.
    """

    def __init__(
        self,
        bank: StrokeBank | None,
        config: MaskConfig,
        *,
        train: int,
        test: int,
        per_bucket: int | None = None,
    ) -> None:
        if per_bucket is not None:
            if test:
                raise InputError(f"--test {test}: expected it or --per-bucket, found both")
            test = 6 * per_bucket
        if min(train, test) < 0 or train + test == 0:
            raise InputError(f"at least one mask must be asked for, not {train} and {test}")
        self.bank = bank if config.shape == "strokes" else None
        self.counts: dict[Split, int] = {"train": train, "test": test}
        self.size = config.size
        test_config = replace(config, balanced=per_bucket is not None)
        configs: dict[Split, MaskConfig] = {"train": config, "test": test_config}
        self._generators = {
            split: MaskGenerator(bank, configs[split], split)
            for split, count in self.counts.items()
            if count
        }
        self.settings = {
            "masks": _in_words(config, self.bank),
            "config": asdict(test_config),
            "counts": dict(self.counts),
            "strokes": self.bank
            and {
                "fingerprint": self.bank.fingerprint,
                "synthetic": self.bank.synthetic,
                "categories": split_categories(self.bank.categories, config.test_share),
            },
        }

    def draw(self, split: Split, index: int, out: Mask) -> tuple[Recipe, list[int]]:
        """Draw mask `index` of a split."""
        recipe = self._generators[split].draw(index, out)
        drawings = [] if self.bank is None else [*map(self.bank.drawing_id, recipe.stroke_ids)]
        return recipe, drawings


def _in_words(config: MaskConfig, bank: StrokeBank | None) -> str:
    if bank is None:
        return f"hole masks, shape {config.shape}"
    if bank.synthetic:
        return "QD-IMD-like hole masks of synthetic strokes (computed curves, drawn by no human)"
    return "QD-IMD hole masks of human strokes (Quick, Draw! by Google, CC BY 4.0)"


class StoredMasks:
    """The masks of a finished data set, redrawn from their recipes at another size.

    Args:
        table: the data set's `masks.parquet`.
        size: side of the new masks in pixels.

    Raises:
        InputError: the file is not such a table.
    """

    def __init__(self, table: Path, size: int) -> None:
        MaskConfig(size=size)  # refuses an impossible size
        try:
            rows = pq.read_table(table, schema=TABLE_SCHEMA)
            original = json.loads(pq.read_schema(table).metadata[b"simpaint"])
        except (OSError, pa.ArrowException, KeyError, TypeError) as error:
            raise InputError(
                f"{table}: expected the {TABLE} of a mask data set, found something else: {error}"
            ) from error
        self.size = size
        self.counts: dict[Split, int] = original["counts"]
        self.settings = {**original, "config": {**original["config"], "size": size}}
        self._rows = rows

    def draw(self, split: Split, index: int, out: Mask) -> tuple[Recipe, list[int]]:
        """Redraw mask `index` of a split."""
        position = index + (self.counts["train"] if split == "test" else 0)
        row = self._rows.slice(position, 1).to_pylist()[0]
        recipe = recipe_from_row(row)
        recipe.draw(out)
        return recipe, row["drawing_ids"]
