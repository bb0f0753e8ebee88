"""What an unfinished run is a run of, so that only the same one goes on with its shards."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..data.files import make_folder, replacing
from ..errors import DatabaseError
from .descriptors import JSON
from .manifest import LISTING, PLAN
from .publish import sweep
from .shards import IMAGES

ADDS_TO: Final = "adds to generation"
"""What the plan of an addition has, and that of a build has not."""

_OF_LISTING: Final = ("listing", "photos")


def digest_of(names: list[str]) -> str:
    """SHA-256 of a listing."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(_encoded(name))
    return digest.hexdigest()


def start_or_resume(
    out: Path, plan: dict[str, JSON], names: list[str]
) -> tuple[dict[str, JSON], list[str]]:
    """Keep the shards of an earlier run if its plan is the same, or begin in an empty folder.

    Files that came or went since then do not make it another plan: it goes on with its own listing.

    Returns:
        the plan and the names to go on with.

    Raises:
        DatabaseError: the folder holds something else, or a build by another plan.
    """
    path = out / PLAN
    if path.exists():
        there = _read_plan(path)
        begun = any(out.glob(f"{IMAGES}/part-*"))
        if begun and (listed := _listed_before(out, there, plan)) is not None:
            plan, names = {**plan, **{key: there[key] for key in _OF_LISTING}}, listed
        changed = difference({**there, "type": plan.get("type")}, plan)  # it decides no vector
        if changed and begun:
            raise DatabaseError(
                f"{out}: holds an unfinished build of another configuration ({changed}); "
                "repeat it as it was, or delete the folder"
            )
        if changed:
            sweep(out, set())
        for partial in (*out.glob(".partial-*"), *(out / IMAGES).glob(".partial-*")):
            partial.unlink(missing_ok=True)
    else:
        _refuse_others(out)
    write_plan(out, plan)
    if str(plan["source"]).startswith(("folder ", "list ")):  # archives do not change by the way
        with replacing(out / LISTING) as temporary, temporary.open("wb") as file:
            file.writelines(_encoded(name) for name in names)
    return plan, names


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape") + b"\0"


def _listed_before(out: Path, there: dict[str, JSON], plan: dict[str, JSON]) -> list[str] | None:
    """The listing of a build that has not ended, if that is all in which it differs."""
    same = {key: plan[key] for key in ("type", *_OF_LISTING)}
    if there.get("listing") == plan["listing"] or difference({**there, **same}, plan):
        return None
    with suppress(OSError):
        content = (out / LISTING).read_bytes()
        names = content.decode("utf-8", "surrogateescape").split("\0")[:-1]
        if digest_of(names) == there.get("listing"):
            return names
    return None


def _refuse_others(out: Path) -> None:
    if (out / IMAGES).is_dir() and not any((out / IMAGES).iterdir()):
        (out / IMAGES).rmdir()
    foreign = sorted(p.name for p in out.iterdir() if not p.name.startswith((".lock", ".partial-")))
    if foreign:
        raise DatabaseError(f"{out}: expected an empty or a new folder, found {foreign[0]} in it")


def write_plan(out: Path, plan: dict[str, JSON]) -> None:
    """Say what the shards that will come are shards of; shards without a plan are never used."""
    with replacing(out / PLAN) as temporary:
        temporary.write_text(json.dumps(plan, indent=1), "utf-8")
    make_folder(out / IMAGES)


def _read_plan(path: Path) -> dict[str, JSON]:
    try:
        plan: dict[str, JSON] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DatabaseError(f"{path}: expected a build's configuration, found: {error}") from error
    return plan


def same_plan(out: Path, plan: dict[str, JSON]) -> bool:
    """Whether the shards that an interrupted run has left are of this plan."""
    return (out / PLAN).exists() and not difference(_read_plan(out / PLAN), plan)


def stopped_addition(out: Path, generation: int) -> bool:
    """Whether an addition to that generation of a database has left shards to go on with."""
    path = out / PLAN
    return path.exists() and _read_plan(path).get(ADDS_TO) == generation


def difference(there: dict[str, JSON], here: dict[str, JSON]) -> str:
    """In words what differs between two plans; empty if nothing does."""
    keys = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    said = {"listing": "other files now"}  # whose checksums tell nobody anything
    return "; ".join(
        f"{key}: " + said.get(key, f"{there.get(key)} there, {here.get(key)} now") for key in keys
    )
