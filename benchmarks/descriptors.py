"""Does a coarsely filled photo find what the whole one would? simnet against raw pixels and VGG.

    python benchmarks/descriptors.py --faces DIR --people DIR --strokes BANK

DIR of --faces holds train/ and test/, of --people test/NAME/. Prints

(a) recall@1: how often the filled test photo finds its whole self among all of train and test;
(b) the mean L1 inside the hole, at 64 x 64, between the truth and the nearest photo of train (no
    copy of a test photo stands there), between a random photo's pixels and the best photo's;
(c) how often the nearest other photo of people/test shows the same person.

Masks are QD-IMD of the test split's strokes, balanced over the six buckets of hole ratios and drawn
at the photo's size, at which it is filled too; then photo and hole are reduced to 64 x 64. In (a),
"framed anew" cuts the query's square up to 4 % further left, right, up or down and up to 4 % larger
or smaller than the database's, as a face finder may when a part of the face is missing.

The baselines: `raw` is the 64 x 64 RGB picture (12,288 numbers) less each colour's own mean, or
less the database's mean picture; `raw, Euclidean` the latter with one more number, which lifts it
to a sphere so large that inner products order as distances do, where normalising would lose how
bright a photo is; `raw 9x9` the same at as many numbers as simnet has (244);
`random VGG` is VGG-16's last convolution for 64 x 64 pictures with He-normal weights, flattened
(8,192 numbers), less the database's mean. All are normalised.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import click
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from simpaint.data.buckets import BUCKET_EDGES, bucket_name
from simpaint.data.images import decode, square
from simpaint.data.masks import MaskConfig, MaskGenerator
from simpaint.data.sources import open_source
from simpaint.data.strokes import StrokeBank, synthetic_bank
from simpaint.data.tensors import to_images, to_pixels
from simpaint.index_build import DescriptorConfig, crude_fills, load_descriptor
from simpaint.index_build.vgg import VGG16

Pixels: TypeAlias = NDArray[np.uint8]
Describe: TypeAlias = Callable[[Pixels], Tensor]

SIZE = 64
WIDTH = 110  # of the tables, also where the output is no terminal
BUCKETS = len(BUCKET_EDGES) - 1
FILLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Telea": crude_fills.telea,
    "blur": crude_fills.blur,
    "mean": crude_fills.mean,
}
FRAMED_ANEW = "Telea, framed anew"
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


def photos(folder: Path, size: int | None = None) -> Iterator[tuple[str, Pixels]]:
    """Names and squares (size, size, 3) of a folder, sorted; at their own size if None."""
    source = open_source(folder)
    for name in source.names:
        pixels = decode(source.read(name), name=name)
        yield name, square(pixels, size or min(pixels.shape[:2]))


def filled(photo: Pixels, mask: Pixels, fill: str) -> Pixels:
    """A photo (S, S, 3) whose hole (S, S) is filled."""
    image = to_images(photo)[None]
    hole = torch.from_numpy(mask)[None, None].float()
    return to_pixels(FILLS[fill](image, hole)[0])


def by_parts(describe: Callable[[Tensor], Tensor]) -> Describe:
    """Describe many photos, 256 at a time."""

    def all_of(pixels: Pixels) -> Tensor:
        starts = range(0, len(pixels), 256)
        return torch.cat([describe(to_images(pixels[start : start + 256])) for start in starts])

    return all_of


def raw_own_mean(images: Tensor) -> Tensor:
    """Pixels less each picture's mean colour."""
    return F.normalize((images - images.mean((2, 3), keepdim=True)).flatten(1), dim=1)


def raw_euclidean(mean: Tensor, size: int, database: Pixels) -> Callable[[Tensor], Tensor]:
    """Pixels less a mean picture, size x size, whose inner products order as distances do."""

    def flat(images: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(images - mean, size).flatten(1)

    radius = 30 * flat(to_images(database[::20])).square().sum(1).mean()

    def lifted(images: Tensor) -> Tensor:
        x = flat(images)
        rest = (radius - x.square().sum(1, keepdim=True)).clamp(min=0).sqrt()
        return F.normalize(torch.cat([x, rest], 1), dim=1)

    return lifted


def raw_less(mean: Tensor, size: int) -> Callable[[Tensor], Tensor]:
    """Pixels less a mean picture, reduced to size x size."""
    return lambda images: F.normalize(F.adaptive_avg_pool2d(images - mean, size).flatten(1), dim=1)


def random_vgg(database: Pixels, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """VGG-16 that has learned nothing; He-normal, so that the signal reaches its end."""
    generator = torch.Generator().manual_seed(seed)
    network = VGG16()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)

    def features(images: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            flat: Tensor = network(images)[0].flatten(1).float()
        return flat

    mean = features(to_images(database[:: max(1, len(database) // 512)])).mean(0)
    return lambda images: F.normalize(features(images) - mean, dim=1)


def framed_anew(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """A photo (S, S, 3) shifted and scaled by up to 4 %; its border is mirrored."""
    size = len(photo)
    scale = rng.uniform(0.96, 1.04)
    matrix = np.asarray(cv2.getRotationMatrix2D((size / 2, size / 2), 0, scale), np.float64)
    matrix[:, 2] += rng.uniform(-0.04, 0.04, 2) * size
    moved = cv2.warpAffine(photo, matrix, (size, size), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)


class Queries:
    """The first n of all test photos with a hole, one for each photo, bucket and fill.

    Attributes:
        truth: all test photos whole, (m, 64, 64, 3).
        masks: (6, n, 64, 64) uint8, 1 = hole.
        filled: by fill, (6, n, 64, 64, 3).
    """

    def __init__(self, folder: Path, strokes: StrokeBank, count: int) -> None:
        whole = np.stack([pixels for _, pixels in photos(folder)])
        count, size = min(count, len(whole)), whole.shape[1]
        generator = MaskGenerator(strokes, MaskConfig(size=size, balanced=True), "test")
        self.truth = np.stack([square(pixels, SIZE) for pixels in whole])
        self.masks = np.empty((BUCKETS, count, SIZE, SIZE), np.uint8)
        ways = (*FILLS, FRAMED_ANEW)
        self.filled = {fill: np.empty((*self.masks.shape, 3), np.uint8) for fill in ways}
        rng = np.random.default_rng(0)
        for photo in track(range(count), "Filling"):
            for bucket in range(BUCKETS):
                mask = generator[BUCKETS * photo + bucket]
                coloured = np.repeat(mask[..., None] * np.uint8(255), 3, 2)
                self.masks[bucket, photo] = square(coloured, SIZE)[..., 0] > 127
                for fill in FILLS:
                    painted = filled(whole[photo], mask, fill)
                    self.filled[fill][bucket, photo] = square(painted, SIZE)
                painted = filled(framed_anew(whole[photo], rng), mask, "Telea")
                self.filled[FRAMED_ANEW][bucket, photo] = square(painted, SIZE)


def hole_l1(found: Pixels, truth: Pixels, masks: Pixels) -> float:
    """Mean over photos of the mean absolute difference in the hole, in [0, 1]."""
    weights = masks[..., None] / (3 * masks.sum((1, 2)).clip(min=1))[:, None, None, None]
    difference = np.abs(found.astype(np.float32) - truth.astype(np.float32)) / 255
    return float((difference * weights).sum((1, 2, 3)).mean())


def bounds(database: Pixels, truth: Pixels, masks: Pixels) -> tuple[float, float]:
    """The mean L1 in the hole of a random photo of the database, and of the best of them all."""
    by_pixel = torch.from_numpy(database.reshape(len(database), -1).T.copy())  # (12288, n)
    random, best = [], []
    for photo, mask in zip(truth.reshape(len(truth), -1), masks, strict=True):
        rows = torch.from_numpy(np.flatnonzero(np.repeat(mask.ravel(), 3)))
        total = torch.zeros(len(database))
        for part in torch.split(rows, 256):
            wanted = torch.from_numpy(photo)[part, None].short()
            total += (by_pixel[part].short() - wanted).abs().sum(0)
        means = total / (255 * max(1, len(rows)))
        random.append(float(means.mean()))
        best.append(float(means.min()))
    return float(np.mean(random)), float(np.mean(best))


def recall_and_l1(
    describe: Describe, train: Pixels, queries: Queries
) -> dict[str, list[tuple[float, float]]]:
    """By fill and bucket: recall@1 and L1 in the hole."""
    database = describe(np.concatenate([train, queries.truth]))
    count = queries.masks.shape[1]
    own = len(train) + torch.arange(count)
    results: dict[str, list[tuple[float, float]]] = {}
    for fill, by_bucket in queries.filled.items():
        for bucket in range(BUCKETS):
            scores = describe(by_bucket[bucket]) @ database.T
            recall = float((scores.argmax(1) == own).float().mean())
            nearest = scores[:, : len(train)].argmax(1).numpy()
            l1 = hole_l1(train[nearest], queries.truth[:count], queries.masks[bucket])
            results.setdefault(fill, []).append((recall, l1))
    return results


def same_person(folder: Path, name: str, strokes: StrokeBank) -> list[float]:
    """How often the nearest other photo shows the same person: whole queries, then by bucket.

    Photo i is filled, by Telea, in bucket i % 6.
    """
    describe = load_descriptor(DescriptorConfig(name), "cpu")  # type: ignore[arg-type]
    named = list(photos(folder))
    people = np.array([Path(file).parent.name for file, _ in named])
    whole = [pixels for _, pixels in named]
    config = MaskConfig(size=len(whole[0]), balanced=True)
    generator = MaskGenerator(strokes, config, "test")
    coarse = [filled(pixels, generator[i], "Telea") for i, pixels in enumerate(whole)]
    all_of = by_parts(describe)
    database, queries = (
        all_of(np.stack([square(pixels, describe.input_size) for pixels in some]))
        for some in (whole, coarse)
    )
    right = []
    for rows in (database, queries):
        nearest = (rows @ database.T).fill_diagonal_(-2).argmax(1).numpy()
        right.append(people[nearest] == people)
    buckets = np.arange(len(people)) % BUCKETS
    return [float(right[0].mean()), *(float(right[1][buckets == b].mean()) for b in range(BUCKETS))]


def table(title: str, first: str, columns: list[str], rows: dict[str, list[str]]) -> Table:
    """A rich table with one row for each of `rows`."""
    drawn = Table(title=title, title_justify="left")
    drawn.add_column(first, no_wrap=True)
    for column in columns:
        drawn.add_column(column, justify="right", no_wrap=True)
    for name, cells in rows.items():
        drawn.add_row(name, *cells)
    return drawn


def show(
    found: dict[str, dict[str, list[tuple[float, float]]]], random: list[float], best: list[float]
) -> None:
    """Print (a) and (b)."""
    names = [bucket_name(bucket) for bucket in range(BUCKETS)]
    console = Console(width=WIDTH)
    for fill in (*FILLS, FRAMED_ANEW):
        recalls = {name: [f"{r:.4f}" for r, _ in by_fill[fill]] for name, by_fill in found.items()}
        console.print(table(f"(a) recall@1, {fill}", "descriptor", names, recalls))
    for fill in FILLS:
        rows = {"random photo": [f"{value:.4f}" for value in random]}
        for name, by_fill in found.items():
            rows[name] = [
                f"{l1:.4f} {(far - l1) / (far - near):.0%}"
                for (_, l1), far, near in zip(by_fill[fill], random, best, strict=True)
            ]
        rows["best photo"] = [f"{value:.4f}" for value in best]
        title = f"(b) L1 in the hole, {fill}, and share of the way from random to best"
        console.print(table(title, "descriptor", names, rows))


@click.command()
@click.option("--faces", type=_FOLDER, required=True, help="train/ and test/.")
@click.option("--people", type=_FOLDER, required=True, help="test/NAME/.")
@click.option("--strokes", type=click.Path(path_type=Path), help="A stroke bank; else synthetic.")
@click.option("--queries", default=500, show_default=True, help="Test photos asked for.")
@click.option("--json", "json_out", type=click.Path(path_type=Path), help="Write the numbers here.")
def main(
    faces: Path, people: Path, strokes: Path | None, queries: int, json_out: Path | None
) -> None:
    """Measure simnet, raw pixels and random VGG (a, b), simnet and dlib (c)."""
    bank = StrokeBank.open(strokes) if strokes else synthetic_bank()
    train = np.stack([pixels for _, pixels in photos(faces / "train", SIZE)])
    asked = Queries(faces / "test", bank, queries)
    mean = to_images(train).mean(0)
    rivals: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
        "raw, own mean": lambda: raw_own_mean,
        "raw, mean photo": lambda: raw_less(mean, SIZE),
        "raw, Euclidean": lambda: raw_euclidean(mean, SIZE, train),
        "raw 9x9, Euclidean": lambda: raw_euclidean(mean, 9, train),
        "random VGG": lambda: random_vgg(train),
        "simnet": lambda: load_descriptor(DescriptorConfig(), "cpu"),
    }
    found = {
        name: recall_and_l1(by_parts(make()), train, asked)
        for name, make in track(rivals.items(), "Describing")
    }
    whole = asked.truth[: asked.masks.shape[1]]
    limits = [bounds(train, whole, masks) for masks in track(asked.masks, "Comparing all")]
    random, best = ([limit[i] for limit in limits] for i in (0, 1))
    show(found, random, best)
    names = ["whole photo", *(bucket_name(bucket) for bucket in range(BUCKETS))]
    same = {
        name: same_person(people / "test", name, bank)
        for name in track(("simnet", "dlib"), "People")
    }
    cells = {name: [f"{share:.3f}" for share in shares] for name, shares in same.items()}
    Console(width=WIDTH).print(
        table("(c) nearest other photo shows the same person", "descriptor", names, cells)
    )
    if json_out:
        numbers = {"found": found, "random": random, "best": best, "same_person": same}
        json_out.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()
