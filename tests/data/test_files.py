from pathlib import Path

import pytest

from simpaint.data.files import replacing
from simpaint.errors import StorageError


def test_a_name_that_no_file_can_have_is_named(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)
    too_long = pytest.raises(StorageError, match=r"cannot write .*xxx: File name too long")
    with too_long, replacing(path) as temporary:
        temporary.write_bytes(b"content")
