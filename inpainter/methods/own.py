"""Anyone's own method, by "module:function"."""

import hashlib
import inspect
import sys
from importlib import import_module
from pathlib import Path

from ...errors import InputError
from .signature import Method


def load_own(source: str) -> tuple[Method, int, str]:
    """Import a method; modules of the working directory are found too.

    Args:
        source: "package.module:function".

    Returns:
        the function, 0 similar photos, and a hash of its name and its module's source, but not of
        what the module imports or reads.

    Raises:
        InputError: it cannot be imported.
    """
    module_name, _, function = source.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        module = import_module(module_name)
        method: Method = getattr(module, function)
        text = inspect.getsource(module)
    except Exception as error:  # whatever a stranger's module raises
        raise InputError(
            f"{source}: expected MODULE:FUNCTION that can be imported: {error}"
        ) from error
    if not callable(method):
        raise InputError(f"{source}: expected a function, found {type(method).__name__}")
    return method, 0, hashlib.sha256(f"{source}\n{text}".encode()).hexdigest()
