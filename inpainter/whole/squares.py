"""Which squares of a photo are painted, one after another, and which pixels each of them owns."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .boxes import Box, box_around, box_of, wider, within
from .frames import Frame

_CONTEXT: Final = 3  # a square's side, in thicknesses of its hole
_CLOSER: Final = 0.9  # of a face's side: larger squares would show no more than the face's does
_RIM: Final = 0.02  # of a face's square, where too little is seen around a pixel
_NEAR: Final = 9  # pixels: holes that lie closer are painted together
_BESIDE: Final = 1.5  # sides from a face's middle
_WIDER: Final = 4  # pixels: a square of so many fits into no line of three, of any direction
_DEEP: Final = 0.1  # of a square's side is a hole thick that networks fill with a smudge


class Square(NamedTuple):
    """One painting.

    Attributes:
        frame: what the networks see.
        box: rows and columns of the photo, around the pixels it owns.
        own: bool (h, w) inside the box: the pixels to take from this painting.
        face: whether the frame is a face's.
        again: whether its pixels were painted in a face's square before, which is now their coarse
            picture.
        thick: the diameter of the largest circle in the hole at its own pixels, in the photo's; a
            circle may reach beyond the photo. 0 for faces.
        copied: whether it is filled with copies: of the photo itself, where its hole is thick and
            not beside a face, or of another photo of the same place.
        thin: whether its hole is nowhere wider than three pixels: filled smoothly, it is closest.
    """

    frame: Frame
    box: Box
    own: NDArray[np.bool_]
    face: bool = False
    again: bool = False
    thick: float = 0.0
    copied: bool = False
    thin: bool = False

    @property
    def filled(self) -> bool:
        """Whether no network is needed for it."""
        return self.copied or self.thin


def plan(
    hole: NDArray[np.bool_], faces: Sequence[Frame], size: int, *, ours: bool = False
) -> list[Square]:
    """Share out a hole's pixels; each belongs to exactly one square that is not painted `again`.

    Pixels inside a face's square belong to the face whose centre is nearest; the others to upright
    squares around them. Thin, long holes get several small squares rather than a single large one.

    Args:
        hole: (H, W).
        faces: their frames.
        size: the side at which the networks paint; smaller squares are made of smaller photos only.
        ours: for our own network. What is painted with a face is painted again in such squares,
            last, where they are smaller than the face's: where 23 faces of 111 to 314 pixels were
            scratched, they are a quarter nearer to the truth so, and have nine tenths of its
            sharpness, not six. Squares of deep holes are marked so, and those of thin ones, which
            come first.
    """
    thin = _of_thin(hole, size) if ours else []
    rest = hole.copy()
    for square in thin:
        rest[square.box] &= ~square.own
    squares = _of_faces(rest, faces)
    for square in squares:
        rest[square.box] &= ~square.own
    others = _of_rest(rest, size)
    if not ours:
        return [*squares, *others]
    others = [s._replace(copied=_is_deep(s, faces, size)) for s in others]
    return [*thin, *squares, *others, *_closer(squares, hole.shape, size)]


def _is_deep(square: Square, faces: Sequence[Frame], size: int) -> bool:
    """Whether its hole is thick; networks that know faces know necks and hair beside them, too."""
    rows, columns = square.box
    middle = complex(columns.start + columns.stop, rows.start + rows.stop) / 2
    away = [(middle - face.centre) / face.side for face in faces]
    beside = any(max(abs(place.real), abs(place.imag)) < _BESIDE for place in away)
    return not beside and square.thick >= _DEEP * max(abs(square.frame.side), size)


def _of_thin(hole: NDArray[np.bool_], size: int) -> list[Square]:
    """Squares for what is at most three pixels wide, and not the ragged edge of a larger hole."""
    if not hole.any():
        return []
    box = wider(box_of(hole), _WIDER, hole.shape)
    wide = cv2.erode(hole[box].view(np.uint8), np.ones((_WIDER, _WIDER), np.uint8))
    beside = np.ones((_WIDER + _NEAR, _WIDER + _NEAR), np.uint8)
    thin = hole[box] & ~cv2.dilate(wide, beside).view(np.bool_)
    corner, side = (box[1].start, box[0].start), _side(size, 0, hole.shape, size)
    tiles = _tiles(thin, np.zeros(thin.shape, np.float32), corner, side, hole.shape)
    return [tile._replace(thin=True) for tile in _joined(tiles)]


def _closer(squares: Sequence[Square], shape: tuple[int, ...], size: int) -> Iterator[Square]:
    """Smaller squares for the pixels of faces' squares."""
    for square in squares:
        own = np.zeros(shape, np.bool_)
        own[square.box] = square.own
        for part in _of_rest(own, size):
            if abs(part.frame.side) < _CLOSER * abs(square.frame.side):
                yield part._replace(again=True)


def _of_faces(hole: NDArray[np.bool_], faces: Sequence[Frame]) -> list[Square]:
    if not faces:
        return []
    rows, columns = np.nonzero(hole)
    points = columns + 0.5 + 1j * (rows + 0.5)
    least, owner = np.full(len(points), np.inf), np.full(len(points), -1)
    for number, frame in enumerate(faces):
        away = frame.inside(points) - (0.5 + 0.5j)
        within = np.maximum(abs(away.real), abs(away.imag)) < 0.5 - _RIM
        nearer = within & (abs(away) < least)
        least[nearer], owner[nearer] = abs(away[nearer]), number
    squares = []
    for number, frame in enumerate(faces):
        mine = owner == number
        if mine.any():
            own = np.zeros_like(hole)
            own[rows[mine], columns[mine]] = True
            squares.append(_square(frame, own)._replace(face=True))
    return squares


def _square(frame: Frame, own: NDArray[np.bool_], top: int = 0, left: int = 0) -> Square:
    """A square that owns some pixels of a part of the photo that begins at (top, left)."""
    rows, columns = box_of(own)
    box = (
        slice(top + rows.start, top + rows.stop),
        slice(left + columns.start, left + columns.stop),
    )
    return Square(frame, box, own[rows, columns].copy())


def _of_rest(rest: NDArray[np.bool_], size: int) -> list[Square]:
    if not rest.any():
        return []
    # A scratch takes no time where it is not, in a photo of many millions of pixels.
    box = wider(box_of(rest), _NEAR, rest.shape)
    above, before = (edge.start for edge in box)
    near = rest[box].view(np.uint8)
    joined = cv2.dilate(near, np.ones((_NEAR, _NEAR), np.uint8))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(joined)
    depth = np.asarray(cv2.distanceTransform(near, cv2.DIST_L2, 3), np.float32)
    thickest = np.zeros(len(boxes), np.float32)
    np.maximum.at(thickest, labels[rest[box]].astype(np.intp), depth[rest[box]])
    squares = []
    for number, (x, y, width, height, _) in enumerate(boxes[1:], 1):
        part = slice(y, y + height), slice(x, x + width)
        own = near[part].view(np.bool_) & (labels[part] == number)
        thick = 2 * float(thickest[number])
        left, top = before + int(x), above + int(y)
        side = _side(thick, max(width, height), rest.shape, size)
        if max(width, height) <= side:
            frame = _around((left + width / 2, top + height / 2), side, rest.shape)
            square = _square(frame, own, top, left)
            squares.append(square._replace(thick=thick))
        else:
            squares += _tiles(own, depth[part], (left, top), side, rest.shape)
    return _joined(squares)


def _joined(squares: Sequence[Square]) -> list[Square]:
    """Squares that are one, as all are in a small photo, painted at once, after the others."""
    groups: dict[Frame, list[Square]] = {}
    for square in squares:
        groups.setdefault(square.frame, []).append(square)
    return [_union(group) for group in sorted(groups.values(), key=lambda group: len(group) > 1)]


def _union(squares: Sequence[Square]) -> Square:
    """What squares of the same frame own."""
    box = box_around([square.box for square in squares])
    own = np.zeros([part.stop - part.start for part in box], np.bool_)
    for square in squares:
        own[within(square.box, box)] |= square.own
    return Square(squares[0].frame, box, own, thick=max(square.thick for square in squares))


def _side(thickness: float, extent: int, shape: tuple[int, ...], size: int) -> int:
    """A square's side: room for context, but not beyond the photo, unless that is a thin one."""
    side = max(size, round(_CONTEXT * thickness))
    if extent > side / 2 and extent < 2 * thickness:  # one blob: a single square around it
        side = max(side, round(1.5 * extent))
    return min(side, max(min(shape), min(size, max(shape))))


def _tiles(
    own: NDArray[np.bool_],
    depth: NDArray[np.float32],
    corner: tuple[int, int],
    side: int,
    shape: tuple[int, ...],
) -> list[Square]:
    """Squares along a long hole; each owns the pixels in its central half."""
    left, top = corner
    cell = max(1, side // 2)
    squares = []
    for y in range(0, own.shape[0], cell):
        columns = np.flatnonzero(own[y : y + cell].any(0))
        for x in (np.unique(columns // cell) * cell).tolist():
            frame = _around((left + x + cell / 2, top + y + cell / 2), side, shape)
            # The edge of a thick part may lie in a tile beside its middle.
            near = tuple(slice(max(0, z - cell // 2), z + cell + cell // 2) for z in (y, x))
            most = depth[near].max(where=own[near], initial=0)
            square = _square(frame, own[y : y + cell, x : x + cell], top + y, left + x)
            squares.append(square._replace(thick=2 * float(most)))
    return squares


def _around(centre: tuple[float, float], side: int, shape: tuple[int, ...]) -> Frame:
    """An upright square, shifted inside the photo where it fits."""
    x, y = (
        min(max(c - side / 2, 0), length - side) if side <= length else (length - side) / 2
        for c, length in zip(centre, shape[1::-1], strict=True)
    )
    return Frame(complex(round(x), round(y)), complex(side))
