"""What a folder of results was made with, kept beside them as JSON: others do not mix with them."""

import json
from collections.abc import Iterator, Mapping
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
