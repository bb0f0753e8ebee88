"""Photo and mask in, whole photo out: the networks, on photos of any size and mode."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, get_args

import numpy as np
import torch
from torch import Tensor

from ..data.images import expect_picture
from ..data.progress import Progress, silent
from ..errors import DatabaseError, InputError, expect_beside, expect_one_of
from ..index_build.descriptors import DescriptorConfig, load_descriptor, pick_device
from ..index_build.manifest import Level, read_manifest
from ..index_build.tensors import tensors_sha256
from .checkpoint import OUR_OWN
from .copy_unet import CopyUNet
from .losses import composite
from .painters import (
    USUAL_K,
    CoarseNetwork,
    LastNetwork,
    coarse_of,
    coarse_picture,
    in_turns,
    load_coarse,
    load_last,
    neighbors_of,
    paint_last,
)
from .whole.canvas import Canvas, Mask, Photo, open_canvas
from .whole.copying import has_copies
from .whole.each import for_each
from .whole.find_faces import FaceFinder, default_finder, find_faces, people
from .whole.places import Place, find_places
from .whole.similar import Auxiliary, Chosen, Noise, Similar, from_database
from .whole.squares import Square, plan
from .whole.work import Painted, Result, Work

_MOSTLY: Final = 0.9  # of a hole is shown by photos of the same place, which then fill it


class Inpainter:
    """Fills holes: `load` one, then call it with a photo and a mask."""

    def __init__(
        self,
        coarse: CoarseNetwork,
        network: LastNetwork,
        similar: Similar | None = None,
        *,
        k: int | None = None,
        size: int = 128,
        finder: FaceFinder | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        """Join networks.

        Args:
            coarse: fills the hole first, to have something to search with.
            network: our own, or Sim-K.
            similar: what it borrows from; not used for K = 0.
            k: how many photos it borrows from; Sim-K's own K if left out, and 3 for our own, which
                takes any number.
            size: side of the squares that the networks see, in pixels.
            finder: finds faces; dlib's, or scikit-image's without it.
            seed: of grain and of random or noise neighbors.
            device: "auto", "cpu", "cuda", "cuda:1"...

        Raises:
            InputError: K photos are to be borrowed from, and there is no `similar`; K is not the
                network's; or size or seed is out of range.
        """
        _expect_size_and_seed(size, seed)
        self.k = neighbors_of(network, k)
        if self.k and similar is None:
            raise InputError(
                f"{self.k} similar photos are to be borrowed from: expected a database or "
                "reference photos, found neither; K = 0 (-k 0) borrows from the photo alone"
            )
        self._place = torch.device(pick_device(device))
        layout = torch.channels_last
        self._coarse = coarse.eval().to(self._place).to(memory_format=layout)
        self._network = network.eval().to(self._place).to(memory_format=layout)
        self._similar, self._finder = similar, finder or default_finder()
        # Sim-K does not look at a coarse picture, and paints all alone, as in the paper.
        self._ours = isinstance(network, CopyUNet)
        self._portrait = similar.portrait if similar and self._ours else None
        self._shown: set[int] = set()  # the same place as a photo that was painted
        self.size, self.seed = size, seed

    @classmethod
    def load(
        cls,
        database: str | Path | None = None,
        *,
        coarse: str | Path | None = None,
        network: str | Path = OUR_OWN,
        k: int | None = None,
        references: str | Path | Sequence[str | Path] = (),
        auxiliary: Auxiliary = "database",
        size: int = 128,
        seed: int = 0,
        device: str = "auto",
        verify: Level = "full",
        moved: str | Path | None = None,
    ) -> "Inpainter":
        """Read networks and database.

        Args:
            database: folder of an image database; may be left out where nothing is borrowed from
                it.
            coarse: the coarse network, by name or file; the one that goes with the network if left
                out.
            network: our own or Sim-K, by name or file.
            k: how many photos it borrows from: any number for our own; if left out 3, or as many as
                there are.
            references: photos to borrow from instead, the most similar K of them.
            auxiliary: what else the network is given in place of similar photos, to see what they
                are worth: random photos of the database, or noise.
            size: side of the squares that the networks see, in pixels.
            seed: of all random numbers.
            device: "auto", "cpu", "cuda", "cuda:1"...
            verify: how the database is checked: "full" reads every byte, "sizes" is quick.
            moved: where the database's photos are now, if they were moved since it was built.

        Raises:
            InputError: there is nothing to borrow K photos from, or both a database and references,
                or one of them for K = 0;
                `moved` without a database, or `auxiliary` for K = 0; or size or seed is out of
                range.
            WeightsError: a network cannot be read.
            DatabaseError: the database cannot be used.
            ImageError: a reference photo cannot be used.
        """
        database = None if database is None else Path(database)
        references = [references] if isinstance(references, (str, Path)) else references
        expect_one_of("auxiliary", auxiliary, get_args(Auxiliary))
        _expect_size_and_seed(size, seed)
        if references and auxiliary != "database":
            raise InputError(f"{auxiliary} photos: expected no reference photos beside them")
        expect_beside("--moved", moved, database, "--database")
        expect_beside(
            "--database", database, auxiliary != "noise", "another --auxiliary than noise"
        )
        if references and database is not None:
            raise InputError(
                f"{database}: expected a database or reference photos to borrow from, found both"
            )
        for path in references:
            expect_picture(Path(path))
        last = load_last(network)
        first, finder = load_coarse(coarse or coarse_of(last)), default_finder()
        if k is None and isinstance(last, CopyUNet):  # which takes what there is
            there = len(references) or (_count(database) if database else USUAL_K)
            k = min(USUAL_K, there)
        k = neighbors_of(last, k)
        expect_beside("--auxiliary", auxiliary != "database", k, "similar photos, -k,")
        expect_beside("--reference", references, k, "a -k of 1 or more")
        expect_beside("--database", database, k, "a -k of 1 or more")
        similar: Similar | None = None
        if k and auxiliary == "noise":
            similar = Noise(k)
        elif k and references:
            descriptor = load_descriptor(DescriptorConfig(), device)
            similar = Chosen([*map(Path, references)], descriptor, k, size, finder)
        elif k and database is not None:
            similar = from_database(database, k, size, auxiliary, device, verify, moved)
        return cls(first, last, similar, k=k, size=size, finder=finder, seed=seed, device=device)

    def __call__(
        self,
        photo: Photo,
        mask: Mask,
        *,
        black_holes: bool = False,
        grow: int = 0,
        pictures: bool = True,
        progress: Progress = silent,
    ) -> Result:
        """Fill the holes of a photo.

        Args:
            photo: a path; a PIL image; or an array (H, W), (H, W, 3) RGB or (H, W, 4) RGBA of
                bool, uint8, uint16 or floats in [0, 1].
            mask: of the same size, holes white or True; a path, a PIL image, or an array: of bool,
                integers (128 of 255 or more is a hole, or 1 where there is no more), or floats
                (0.5 or more is).
            black_holes: the mask has its holes black.
            grow: pixels by which its holes are made wider on each side.
            pictures: tell how each square came to be, about 1 MB of 128 pixels; if not, the
                result's holes, coarse, painted and neighbors are empty (P is 0).
            progress: told of squares.

        Returns:
            the photo in the same form; if the mask is empty, untouched.

        Raises:
            InputError: the mask is of another size, or covers everything.
            ImageError: photo or mask cannot be used.
        """
        return self.batch(
            [photo],
            [mask],
            black_holes=black_holes,
            grow=grow,
            pictures=pictures,
            progress=progress,
        )[0]

    def batch(
        self,
        photos: Sequence[Photo],
        masks: Sequence[Mask],
        *,
        black_holes: bool = False,
        grow: int = 0,
        pictures: bool = True,
        progress: Progress = silent,
    ) -> list[Result]:
        """Fill the holes of several photos at once: see `__call__`."""

        def begin(photo: Photo, mask: Mask) -> Work:
            canvas = open_canvas(photo, mask, black_holes=black_holes, grow=grow)
            return self._begin(canvas, pictures=pictures)

        if len(photos) != len(masks):
            raise InputError(f"expected a mask for each of {len(photos)} photos: {len(masks)}")
        works = for_each(begin, zip(photos, masks, strict=True))
        done = 0
        for turn in range(max((len(work.squares) for work in works), default=0)):
            progress(done, sum(len(work.squares) for work in works))
            those = [work for work in works if turn < len(work.squares)]
            done += len(those)
            active = [work for work in those if not work.squares[turn].filled]
            others = [work for work in those if work.squares[turn].filled]
            for_each(Work.fill, [(work, turn, self.size, self.k) for work in others])
            if not active:
                continue
            seen = for_each(Work.look, [(work, turn, self.size) for work in active])
            shown, holes = (torch.stack(parts) for parts in zip(*seen, strict=True))
            faces = torch.tensor([work.squares[turn].face for work in active])
            again = torch.tensor([work.squares[turn].again for work in active])
            painted = self.paint(shown, holes, [work.rng for work in active], faces, again)
            squares = map(Painted, *painted)
            takes = zip(active, seen, squares, strict=True)
            for_each(Work.take, [(work, turn, *one, self._portrait) for work, *one in takes])
        progress(done, done)
        return [work.result(self.size, self.k) for work in works]

    def paint(
        self,
        photos: Tensor,
        holes: Tensor,
        rngs: Sequence[np.random.Generator] | None = None,
        faces: Tensor | None = None,
        again: Tensor | None = None,
    ) -> Painted:
        """Fill the holes of squares as the networks see them.

        Args:
            photos: (B, 3, S, S) float32 RGB in [0, 1].
            holes: (B, 1, S, S), 1 = hole.
            rngs: one for each picture, for random or noise neighbors; from the seed if left out.
            faces: (B,) bool, which of them show a face in the frame that the networks know; the
                others are given no detail of similar photos, which show faces. All if left out.
            again: (B,) bool, whose holes are filled coarsely already; none if left out.
        """
        rngs = rngs or [np.random.default_rng([self.seed, i]) for i in range(len(photos))]
        with torch.inference_mode():
            photos, holes = self._laid_out(photos), self._laid_out(holes.float())
            coarse = photos
            if again is None or not again.all():
                first = in_turns(partial(coarse_picture, self._coarse), photos, holes)
                there = torch.zeros(len(photos), dtype=torch.bool) if again is None else again
                coarse = composite(first, photos, holes * ~there.to(self._place).view(-1, 1, 1, 1))
            found = self._similar(coarse.cpu(), rngs) if self._similar and self.k else None
            if found is None:
                nothing = torch.empty(len(photos), 0)
                neighbors = torch.empty(len(photos), 0, *photos.shape[1:])
                scores, ids = nothing, nothing.long()
            else:
                neighbors, scores, ids = found
            channels = self._laid_out(neighbors.flatten(1, 2))  # (B, 3K, S, S)
            similar = channels.view(neighbors.shape)
            last = partial(paint_last, self._network)
            known = torch.ones(len(photos), dtype=torch.bool) if faces is None else faces
            shown = (photos, holes, coarse, similar, known.to(self._place))
            whole = in_turns(last, *shown).clamp(0, 1)
            filled = composite(whole, photos, holes)
        return Painted(filled.cpu(), coarse.cpu(), neighbors, scores, ids, whole.cpu())

    def _laid_out(self, tensor: Tensor) -> Tensor:
        """(B, C, S, S) with its channels last, a single one too: else joining tensors is slow."""
        laid_out = torch.empty(tensor.shape, device=self._place, memory_format=torch.channels_last)
        return laid_out.copy_(tensor)

    def weights(self) -> dict[str, str]:
        """SHA-256 of the weights of both networks: files of the same name may hold others."""
        networks = {"coarse": self._coarse, "network": self._network}
        return {name: tensors_sha256(one.state_dict()) for name, one in networks.items()}

    def names(self, ids: Tensor) -> list[str]:
        """What the photos of a result's ids (P, K) are called: P K names; that of -1 is empty."""
        flat: list[int] = ids.flatten().tolist()
        used = [number for number in flat if number >= 0]
        names = iter(self._similar.names(used) if self._similar else [])
        return [next(names) if number >= 0 else "" for number in flat]

    def useless(self) -> list[str]:
        """Reference photos without a face, that show the place of no photo painted so far."""
        if not isinstance(self._similar, Chosen):
            return []
        return self._similar.names(sorted(self._similar.faceless - self._shown))

    def _begin(self, canvas: Canvas, *, pictures: bool) -> "Work":
        """Find the faces at the holes, and plan the squares."""
        photo, hole = canvas.as_bytes(), canvas.hole
        faces = find_faces(photo, hole, self._finder) if hole.any() else []
        squares = plan(hole, faces, self.size, ours=self._ours)
        places: list[Place] = []
        if self._ours and self.k and self._similar and any(map(_may_be_copied, squares)):
            wholes = self._similar.whole(photo)
            given = canvas.as_given()
            places = find_places(photo, hole, given, wholes, self._finder, self.k)
            self._shown.update(place.number for place in places)
            squares = [_copied(square, places) for square in squares]
        barred = np.zeros_like(hole)
        if any(square.copied for square in squares):
            barred = people(photo, hole, self._finder)
        if not places:
            squares = [s._replace(copied=s.copied and has_copies(s, hole, barred)) for s in squares]
        return Work(canvas, squares, barred, places, canvas.rng(self.seed), pictures=pictures)


def _count(database: Path) -> int:
    """How many photos there are to borrow from."""
    if not (count := read_manifest(database).count):
        raise DatabaseError(f"{database}: expected photos, found that all were removed")
    return count


def _may_be_copied(square: Square) -> bool:
    return not (square.face or square.again or square.thin)


def _copied(square: Square, places: Sequence[Place]) -> Square:
    """A square that is filled with copies where other photos show what stood there."""
    if not (places and _may_be_copied(square)):
        return square
    shown = np.any([place.shown(square.box)[square.own] for place in places], axis=0)
    return square._replace(copied=square.copied or shown.mean() > _MOSTLY)


def _expect_size_and_seed(size: int, seed: int) -> None:
    if size < 1 or seed < 0:
        raise InputError(f"expected a positive size and a seed of 0 or more: {size}, {seed}")
