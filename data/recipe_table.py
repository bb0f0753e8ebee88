"""Mask recipes as Arrow columns and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .recipes import Recipe

_POINT = pa.list_(pa.uint8(), 2)
_BOX = pa.list_(pa.float64(), 4)

TABLE = "masks.parquet"
TABLE_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string()),
        pa.field("split", pa.string()),
        pa.field("index", pa.int64()),
        pa.field("hole_ratio", pa.float64()),
        pa.field("bucket", pa.int8()),
        pa.field("drawing_ids", pa.list_(pa.uint64())),
        pa.field("stroke_ids", pa.list_(pa.int64())),
        pa.field("widths", pa.list_(pa.float64())),
        pa.field("points", pa.list_(pa.list_(_POINT))),
        pa.field("scale", pa.float64()),
        pa.field("boxes", pa.list_(_BOX)),
        pa.field("region", pa.list_(pa.float32())),
    ]
)
"""A row for each mask: where it is, what it is, and (from `stroke_ids` on) its recipe."""


def recipe_columns(recipes: Sequence[Recipe]) -> list[pa.Array]:
    """The recipes as the columns of `TABLE_SCHEMA` from `stroke_ids` on, a row for each."""
    coordinates = np.concatenate([recipe.points for recipe in recipes])  # (points, 2)
    points = pa.ListArray.from_arrays(
        _offsets([length for recipe in recipes for length in recipe.lengths]),
        pa.FixedSizeListArray.from_arrays(pa.array(coordinates.ravel()), type=_POINT),
    )
    column = TABLE_SCHEMA.field
    return [
        pa.array([recipe.stroke_ids for recipe in recipes], column("stroke_ids").type),
        pa.array([recipe.widths for recipe in recipes], column("widths").type),
        pa.ListArray.from_arrays(_offsets([len(recipe.lengths) for recipe in recipes]), points),
        pa.array([recipe.scale for recipe in recipes], column("scale").type),
        pa.array([recipe.boxes for recipe in recipes], column("boxes").type),
        pa.array(
            [None if r.region is None else r.region.ravel() for r in recipes], column("region").type
        ),
    ]


def _offsets(lengths: Sequence[int]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


def recipe_from_row(row: dict[str, Any]) -> Recipe:
    """The recipe of one row, as `pyarrow.Table.to_pylist` gives it."""
    region: NDArray[np.float32] | None = None
    if row["region"] is not None:
        side = round(len(row["region"]) ** 0.5)
        region = np.array(row["region"], dtype=np.float32).reshape(side, side)
    return Recipe(
        stroke_ids=tuple(row["stroke_ids"]),
        points=np.array([p for stroke in row["points"] for p in stroke], np.uint8).reshape(-1, 2),
        lengths=tuple(map(len, row["points"])),
        widths=tuple(row["widths"]),
        scale=row["scale"],
        boxes=tuple((b[0], b[1], b[2], b[3]) for b in row["boxes"]),
        region=region,
    )
