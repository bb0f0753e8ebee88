"""Which methods an evaluation runs, each with what it is shown and where that comes from."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from torch import Tensor

from ...errors import InputError, WeightsError
from ...index_build.manifest import read_manifest
from ..methods import Built, build_method
from .auxiliaries import COARSE, Auxiliary
from .cases import fingerprint

ALBUM_ONLY: Final = Path()
"""In place of a database, whose path is absolute: nothing but the album."""


@dataclass(frozen=True)
class Planned:
    """One column of the report.

    Attributes:
        label: its name there.
        source: what `methods.build_method` makes it from.
        auxiliary: what it is shown, if it looks at similar photos.
        database: where these come from; None where there are none.
        coarse: the method that fills holes for the search; empty where none is needed.
        fingerprint: changes with anything that may change its results.
    """

    label: str
    source: str
    auxiliary: Auxiliary = "database"
    database: Path | None = None
    coarse: str = ""
    fingerprint: str = ""

    @property
    def shown(self) -> bool:
        """Whether it looks at similar photos, or what stands in for them."""
        return self.database is not None or self.auxiliary == "noise"

    @property
    def folder(self) -> str:
        """Where its parts are: the label, as far as file names allow, and the fingerprint."""
        name = re.sub(r"[^A-Za-z0-9.]+", "-", self.label).strip("-.") or "method"
        return f"{name[-60:]}-{self.fingerprint}"


def plan(
    methods: Sequence[str],
    databases: Sequence[Path],
    auxiliaries: Sequence[Auxiliary],
    coarse: str | None,
    seed: int,
) -> list[Planned]:
    """Every method; one that looks at similar photos once for each database and auxiliary.

    The first database and the first auxiliary are not mentioned in labels.

    Args:
        methods: sources, or NAME=SOURCE.
        databases: absolute paths of image databases; `ALBUM_ONLY` for none beside the album.
        auxiliaries: what to show.
        coarse: source of the method that fills holes for the search; each method's own if None.
        seed: of random auxiliaries.

    Raises:
        InputError: two methods of one name, or one that needs a database and there is none.
        WeightsError: a method's weights are not there.
    """
    found: list[Planned] = []
    names = _short_names(databases)
    for text in methods:
        label, source = _named(text)
        built = build_method(source, _asks_nothing)
        if not built.k:
            found.append(Planned(label, source, fingerprint=fingerprint([built.fingerprint])))
            continue
        if not databases and set(auxiliaries) != {"noise"}:
            raise InputError(f"{label}: it looks at similar photos; name a --database of them")
        for number, database in enumerate(databases or [None]):
            for kind in auxiliaries:
                if kind == "noise" and number:
                    continue  # it does not come from a database
                name = label + (f" [{names[number]}]" if number else "")
                name += "" if kind == auxiliaries[0] else f" ({kind})"
                found.append(
                    _planned(name, source, built, kind, database, coarse or built.coarse, seed)
                )
    labels = [one.label for one in found]
    if repeated := {label for label in labels if labels.count(label) > 1}:
        raise InputError(f"methods: expected different names, found {', '.join(repeated)} twice")
    return found


def _short_names(databases: Sequence[Path]) -> list[str]:
    """Each database's name, with those of the folders it is in that tell it from the others."""
    deepest = max((len(path.parts) for path in databases), default=0)
    names = [str(path) for path in databases]
    for depth in range(deepest, 0, -1):
        tails = ["/".join([*path.parts[-depth:-1], path.stem]) for path in databases]
        names = [t if tails.count(t) == 1 else n for t, n in zip(tails, names, strict=True)]
    return names


def _planned(
    label: str,
    source: str,
    built: Built,
    kind: Auxiliary,
    database: Path | None,
    coarse: str,
    seed: int,
) -> Planned:
    parts: list[object] = [built.fingerprint, kind, seed]
    if kind == "noise":
        return Planned(label, source, kind, None, "", fingerprint(parts))
    if database and database != ALBUM_ONLY:
        parts.append(asdict(read_manifest(database)))
    if kind not in COARSE:
        return Planned(label, source, kind, database, "", fingerprint(parts))
    parts.append(f"{build_coarse(coarse).fingerprint} and its mirror image's")
    return Planned(label, source, kind, database, coarse, fingerprint(parts))


def build_coarse(source: str, device: str = "cpu") -> Built:
    """The method that fills holes for the search.

    Raises:
        WeightsError: its weights are not there.
        InputError: it looks at similar photos itself.
    """
    try:
        built = build_method(source, _asks_nothing, device)
    except WeightsError as error:
        raise WeightsError(f"the coarse picture, --coarse: {error}") from error
    if built.k:
        raise InputError(f"--coarse {source}: expected a method that needs no similar photos")
    return built


def _named(text: str) -> tuple[str, str]:
    """NAME=SOURCE, or a source that is its own name, as a file is whatever its path holds."""
    name, equals, source = text.partition("=")
    named = equals and name and source and "/" not in name and not Path(text).is_file()
    return (name, source) if named else (text, text)


def _asks_nothing(photos: Tensor, masks: Tensor, k: int) -> Tensor:  # noqa: ARG001 - a Similar
    raise InputError("expected a method that needs no similar photos")
