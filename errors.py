"""Everything simpaint raises on purpose.

::

    SimpaintError
    ├── InputError           an option or a file is not what was expected
    │   ├── DrawingsError    a Quick, Draw! file or a stroke bank
    │   ├── ImageError       a file that cannot be used as a photo or as a mask
    │   ├── WeightsError     a weights file of another network, or a damaged one
    │   └── DatabaseError    an image database: missing, unfinished, damaged, of another kind
    ├── StorageError         a file could not be written: disk full, no permission
    ├── DownloadError        a file could not be fetched, or is not what the server promised
    └── DependencyError      a library that is missing, or two that exclude each other

Every message is one line that says what was wrong, what was expected and which file.
The command line prints it and ends with exit code 2.
"""

from collections.abc import Sequence


class SimpaintError(Exception):
    """Base of every error that simpaint raises on purpose."""


class InputError(SimpaintError):
    """An option or a file of the user's is not what was expected."""


class DrawingsError(InputError):
    """A file of drawings or a stroke bank cannot be used."""


class ImageError(InputError):
    """A file cannot be used as a photo or as a mask."""


class WeightsError(InputError):
    """A weights file is missing, damaged, or belongs to another network."""


class DatabaseError(InputError):
    """An image database is missing, unfinished, damaged, or of another kind."""


class StorageError(SimpaintError):
    """A file could not be written."""


class DownloadError(SimpaintError):
    """A file could not be fetched, or is not what the server promised."""


class DependencyError(SimpaintError):
    """A needed library is missing, or two libraries exclude each other."""


def expect_one_of(name: str, value: object, choices: Sequence[object]) -> None:
    """Refuse a word that is none of those that mean something.

    Args:
        name: of what it was given for.
        value: what was given.
        choices: what is allowed.

    Raises:
        InputError: naming all three.
    """
    if value not in choices:
        allowed = ", ".join(map(str, choices))
        raise InputError(f"{name}: expected one of {allowed}; found {value!r}")


def expect_beside(option: str, given: object, used: object, needed: str) -> None:
    """Refuse an option that would change nothing.

    Args:
        option: its name.
        given: its value; nothing is expected if it is false.
        used: whether anything looks at it.
        needed: what would.

    Raises:
        InputError: naming the option and what is needed.
    """
    if given and not used:
        raise InputError(f"{option}: expected {needed} beside it, found none")
