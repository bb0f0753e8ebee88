"""One photo being painted, square by square, and what became of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...data.rasters import Stored
from ...data.tensors import to_images
from ..losses import composite
from .boxes import Box, box_of
from .canvas import Canvas
from .copying import paste_copies
from .frames import Floats, Frame, Framed, cut, cut_hole
from .moments import near, same_around, same_moment, shown_then
from .paste import match_border, paste, paste_smooth
from .places import Place
from .quiet import Shown
from .squares import Square
from .tone import has_tone, tone_of

Portrait: TypeAlias = Callable[[int], Framed | None]
"""A borrowed photo's square by its id, as large as there is: see `Similar`."""

_FINER: Final = 2.0  # another photo's face is laid over this one at so many pixels for each,
_LARGEST: Final = 1024  # and so many a side at the most
_WIDER: Final = 2.0  # times a face's side: so much of it, if all around the hole is the same
_AROUND: Final = 0.04  # of that square's side, around the hole
_STAINED: Final = 0.01  # of it: nearer to the hole there may be stains
_EDGE: Final = 0.02  # of it: what is nearer to the other photo's edge may not be there


class Painted(NamedTuple):
    """Painted squares, on the CPU.

    Attributes:
        photos: (B, 3, S, S) float32 in [0, 1]; known pixels are the input's.
        coarse: (B, 3, S, S), filled by the coarse network alone.
        neighbors: (B, K, 3, S, S), what was borrowed from, the most similar first.
        scores: (B, K), their cosines to the coarse picture.
        ids: (B, K) int64, their ids in the database.
        raw: (B, 3, S, S), what the final network gave, known pixels included.
    """

    photos: Tensor
    coarse: Tensor
    neighbors: Tensor
    scores: Tensor
    ids: Tensor
    raw: Tensor


@dataclass(frozen=True)
class Result:
    """A whole photo, and how it came to be: P squares were painted, one after another.

    Attributes:
        photo: in the form of the input, of its size, mode and type; pixels that the mask leaves
            are the input's.
        holes: (P, 1, S, S), 1 = hole, of each square.
        coarse: (P, 3, S, S), the coarse network's pictures.
        painted: (P, 3, S, S), the final network's.
        neighbors: (P, K, 3, S, S), what was borrowed from.
        scores: (P, K), their cosines to the coarse pictures.
        ids: (P, K), their ids in the database.
        moved: (P,) bool: squares that were filled with copies: of photos of the same place or
            moment, which ids name, or of the photo itself. Beside faces the coarse picture is a
            smooth one there; where nothing is borrowed neighbors are white, scores NaN and ids -1.
            So it is in lines of up to three pixels, which are filled smoothly.
        frames: where each square lies in the upright photo.
    """

    photo: Stored
    holes: Tensor
    coarse: Tensor
    painted: Tensor
    neighbors: Tensor
    scores: Tensor
    ids: Tensor
    moved: Tensor
    frames: tuple[Frame, ...]


class Work:
    """One photo being painted, square by square."""

    def __init__(
        self,
        canvas: Canvas,
        squares: list[Square],
        barred: NDArray[np.bool_],
        places: Sequence[Place],
        rng: np.random.Generator,
        *,
        pictures: bool,
    ) -> None:
        self.canvas, self.squares, self.rng = canvas, squares, rng
        self.barred, self.places = barred, places
        self._tone = tone_of(canvas.pixels, canvas.white, ~canvas.hole)
        self._shown = Shown(canvas)
        self._again = np.zeros_like(canvas.hole)  # what is painted, but will be again
        for square in squares:
            if square.again:
                self._again[square.box] |= square.own
        self._keep = pictures
        self._pictures: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._borrowed: list[tuple[Tensor, Tensor]] = []

    def look(self, turn: int, size: int) -> tuple[Tensor, Tensor]:
        """What the networks see: (3, S, S) in [0, 1] and the hole (1, S, S)."""
        frame = self.squares[turn].frame
        hole = cut_hole(self._unknown(turn), frame, size)
        return self._seen(frame, size), torch.from_numpy(hole)[None].float()

    def _seen(self, frame: Frame, size: int) -> Tensor:
        """A frame's pixels: (3, S, S) in [0, 1]."""
        picture = self._shown.cut(frame, size)
        return torch.from_numpy(picture.clip(0, 1)).permute(2, 0, 1)

    def take(
        self, turn: int, seen: tuple[Tensor, Tensor], painted: Painted, portrait: Portrait | None
    ) -> None:
        """Put what networks painted in a square into the photo, or a face of the same moment.

        Args:
            turn: which square.
            seen: what networks saw of it.
            painted: what they painted, and borrowed from.
            portrait: gives borrowed photos as large as they are; None if none is to be copied.
        """
        picture, hole = seen
        other: Framed | None = None
        if self._tone:
            raw = self._tone(painted.raw)
            painted = painted._replace(photos=composite(raw, picture, hole), raw=raw)
        square = self.squares[turn]
        out, known = (part.permute(1, 2, 0).contiguous().numpy() for part in (painted.raw, picture))
        missing = hole[0].numpy() > 0
        if portrait and square.face:
            taken = self._taken(turn, seen, painted, portrait)
            if taken is not None:
                out, known, missing, painted, other = taken
        whole = match_border(out, known, missing)
        self._paste(square.frame, whole, (square.box, square.own), self._unknown(turn))
        self._finish(turn, hole, painted)
        if other is not None:
            self._take_around(turn, other)

    def _paste(
        self,
        frame: Frame,
        whole: Floats,
        own: tuple[Box, NDArray[np.bool_]],
        unknown: NDArray[np.bool_],
    ) -> None:
        """Put a square's painting into the photo: see `paste`."""
        self._shown.paint(frame, whole, own)
        paste(self.canvas.pixels, self.canvas.white, frame, whole, own, unknown, self.rng)

    def _taken(
        self, turn: int, seen: tuple[Tensor, Tensor], painted: Painted, portrait: Portrait
    ) -> tuple[Floats, Floats, NDArray[np.bool_], Painted, Framed] | None:
        """The face that a photo of the same moment shows, if one does.

        Returns:
            it, and what is known and missing of this one, (R, R, ...), what was borrowed, and the
            other photo.
        """
        picture, hole = seen
        known, missing = picture.permute(1, 2, 0).contiguous().numpy(), hole[0].numpy() > 0
        others = [self._toned(one).permute(1, 2, 0).numpy() for one in painted.neighbors]
        frame, small = self.squares[turn].frame, len(missing)
        given = cut(self.canvas.as_given(), frame, small) / np.float32(255)
        moment = same_moment(known, missing, others, given)
        other = portrait(int(painted.ids[moment.number])) if moment else None
        if moment is None or other is None or (not self._tone and has_tone(other.photo)):
            return None
        size = min(max(small, round(_FINER * abs(frame.side))), _LARGEST)
        known = self._shown.cut(frame, size).clip(0, 1)
        missing = near(cut_hole(self._unknown(turn), frame, size))
        shown = shown_then(moment, known, missing, self._pixels(other, size))
        self._settle(turn)
        raw = torch.from_numpy(shown).permute(2, 0, 1)
        raw = F.interpolate(raw[None], (small, small), mode="area")[0].clamp(0, 1)
        only = torch.arange(len(others)) == moment.number
        borrowed = painted._replace(
            photos=composite(raw, picture, hole),
            neighbors=painted.neighbors.where(only.view(-1, 1, 1, 1), 1.0),
            scores=painted.scores.where(only, torch.nan),
            ids=painted.ids.where(only, -1),
            raw=raw,
        )
        return shown, known, missing, borrowed, other

    def _take_around(self, turn: int, other: Framed) -> None:
        """Go on around a face with what the photo of the same moment shows there, if it is so.

        Args:
            turn: the face's square.
            other: the face in the other photo.
        """
        frame, other = self.squares[turn].frame.scaled(_WIDER), other.scaled(_WIDER)
        mine, canvas = self._around(turn, frame, other), self.canvas
        if not mine.any():
            return
        size = min(max(1, round(_FINER * abs(frame.side))), _LARGEST)
        known, beyond = self._shown.cut(frame, size).clip(0, 1), other.beyond(size)
        hole, missing = (
            near(cut_hole(part, frame, size) | beyond, _STAINED)
            for part in (canvas.hole, canvas.unknown)
        )
        around = near(cut_hole(mine, frame, size), _AROUND) & ~hole
        theirs = self._pixels(other, size)
        moment = same_around(known, missing, around, theirs)
        if moment is None:
            return
        shown = shown_then(moment, known, missing, theirs)
        box = box_of(mine)
        whole = match_border(shown, known, missing)
        self._paste(frame, whole, (box, mine[box]), canvas.unknown)
        canvas.unknown &= ~mine
        for later in range(turn + 1, len(self.squares)):
            square = self.squares[later]
            self.squares[later] = square._replace(own=square.own & ~mine[square.box])
        self.squares[turn + 1 :] = [one for one in self.squares[turn + 1 :] if one.own.any()]

    def _around(self, turn: int, frame: Frame, other: Framed) -> NDArray[np.bool_]:
        """What is left of the hole in a frame, and shown by another photo: (H, W)."""
        left: NDArray[np.bool_] = self.canvas.unknown.copy()
        for later in self.squares[turn + 1 :]:
            if later.face:  # another face, of another moment maybe
                left[later.box] &= ~later.own
        rows, columns = np.nonzero(left)
        places = frame.inside(columns + 0.5 + 1j * (rows + 0.5))
        there = other.frame.corner + other.frame.side * places
        edge, (height, width) = _EDGE * abs(other.frame.side), other.photo.shape[:2]
        outside = np.maximum(abs(places.real - 0.5), abs(places.imag - 0.5)) > 0.5 - _EDGE
        outside |= (there.real < edge) | (there.real > width - edge)
        outside |= (there.imag < edge) | (there.imag > height - edge)
        left[rows[outside], columns[outside]] = False
        return left

    def _pixels(self, other: Framed, largest: int) -> Floats:
        """Another photo's square in this one's tone: (S, S, 3)."""
        toned = self._toned(torch.from_numpy(other.cut(largest)).permute(2, 0, 1))
        return np.asarray(toned.permute(1, 2, 0).numpy(), np.float32)

    def _toned(self, picture: Tensor) -> Tensor:
        """A picture (3, H, W) in the photo's tone, if it has but one."""
        return self._tone(picture) if self._tone else picture

    def _settle(self, turn: int) -> None:
        """A face's square that is filled with a copy is not painted again."""
        square = self.squares[turn]
        self.squares[turn] = square._replace(copied=True)
        mine = np.zeros_like(self._again)
        mine[square.box] = square.own
        self.squares[turn + 1 :] = [
            later
            for later in self.squares[turn + 1 :]
            if not (later.again and (mine[later.box] & later.own).any())
        ]
        self._again &= ~mine

    def fill(self, turn: int, size: int, k: int) -> None:
        """Fill a square without networks: a thin one smoothly, others with copies."""
        square, canvas = self.squares[turn], self.canvas
        picture, hole = self.look(turn, size)
        own, unknown = (square.box, square.own), self._unknown(turn)
        neighbors = torch.ones(k, 3, size, size)
        scores, ids = torch.full((k,), torch.nan), torch.full((k,), -1)
        if square.thin:
            paste_smooth(canvas.pixels, canvas.white, own, unknown)
        else:
            took = paste_copies(
                canvas.pixels, canvas.white, square, unknown, self.barred, self.places, self._tone
            )
            for number, place in enumerate(took):
                neighbors[number] = to_images(place.cut(square.frame, size))
                scores[number], ids[number] = place.score, place.number
        self._shown.renew(own, unknown)
        filled = self._seen(square.frame, size)
        photo = composite(filled, picture, hole)
        self._finish(turn, hole, Painted(photo, picture, neighbors, scores, ids, filled))

    def _finish(self, turn: int, hole: Tensor, painted: Painted) -> None:
        square = self.squares[turn]
        self._unknown(turn)[square.box] &= ~square.own
        self._borrowed.append((painted.scores, painted.ids))
        if self._keep:
            self._pictures.append((hole, painted.coarse, painted.photos, painted.neighbors))

    def _unknown(self, turn: int) -> NDArray[np.bool_]:
        """What a square must not take for known: (H, W)."""
        return self._again if self.squares[turn].again else self.canvas.unknown

    def result(self, size: int, k: int) -> Result:
        """All of it."""
        shapes = [(1, size, size), (3, size, size), (3, size, size), (k, 3, size, size)]
        columns = zip(*self._pictures, strict=True) if self._pictures else [()] * len(shapes)
        holes, coarse, painted, neighbors = (
            torch.stack(column) if column else torch.empty(0, *shape)
            for column, shape in zip(columns, shapes, strict=True)
        )
        count = len(self._borrowed)
        scores = torch.cat([torch.empty(0), *(part for part, _ in self._borrowed)]).view(count, k)
        ids = torch.cat([torch.empty(0).long(), *(part for _, part in self._borrowed)])
        return Result(
            self.canvas.finished(),
            holes,
            coarse,
            painted,
            neighbors,
            scores,
            ids.view(count, k),
            torch.tensor([square.copied for square in self.squares], dtype=torch.bool),
            tuple(square.frame for square in self.squares),
        )
