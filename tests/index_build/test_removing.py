from pathlib import Path

import pytest

from simpaint.errors import DatabaseError
from simpaint.index_build import change
from simpaint.index_build.change import remove

from .test_build import built
from .tiny import draw_faces


@pytest.fixture
def db(tmp_path: Path) -> Path:
    built(draw_faces(tmp_path / "photos", 20), tmp_path / "db")
    return tmp_path / "db"


def test_an_id_is_removed_without_a_look_at_every_row(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "all_rows", lambda *_: iter([]))
    assert remove(db, [17, 3, 3]).count == 18
    for gone in ([3], [3, 4], [20], [-1], [10**30]):
        with pytest.raises(DatabaseError, match=f"found 1 that it does not, the first: {gone[0]}"):
            remove(db, gone)
    assert remove(db, []).tombstones == 2
