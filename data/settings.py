"""What a folder of results was made with, kept beside them as JSON: others do not mix with them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from .files import replacing


def write_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Write settings, atomically.

    Raises:
        StorageError: the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(settings, indent=1), "utf-8")


def read_settings(path: Path) -> dict[str, Any]:
    """Read what `write_settings` wrote.

    Raises:
        InputError: it is something else.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected settings, found none that can be read") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected settings, found {type(found).__name__}")
    return found


def expect_unused(out: Path, names: Iterable[str]) -> None:
    """Refuse a folder that has what would be overwritten, and no settings that say it is ours.

    Args:
        out: the folder; it need not exist.
        names: what is written there: files, or folders, which may be there if they are empty.

    Raises:
        InputError: naming the first that is there.
    """
    for path in (out / name for name in names):
        if any(path.iterdir()) if path.is_dir() else path.exists():
            raise InputError(
                f"{out}: expected a new folder, or one with its settings; found {path.name} "
                "of something else; choose another folder"
            )


def changed_settings(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[tuple[str, object, object]]:
    """The settings that differ: name, value before and now; None where there is none.

    Nested names are joined by points.
    """
    old, new = (dict(_flat(json.loads(json.dumps(settings)))) for settings in (before, now))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield name, old.get(name), new.get(name)


def _flat(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value
