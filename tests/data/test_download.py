import base64
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from simpaint.cli import main
from simpaint.data.download import Form, fetch, quickdraw_files
from simpaint.errors import DownloadError, InputError, StorageError

BODY = bytes(range(256)) * 2000


@dataclass
class Server:
    """What the next answers are: a script for each path; after its end, all goes well."""

    url: str = ""
    script: dict[str, list[str]] = field(default_factory=dict)
    always: dict[str, str] = field(default_factory=dict)
    body: bytes = BODY
    etag: str = '"one"'
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.requests.append((self.path, asked))
            script = state.script.get(self.path, [])
            fault = script.pop(0) if script else state.always.get(self.path, "")
            if fault.isdecimal():
                self.send_error(int(fault))
                return
            body, start, total = state.body, 0, len(state.body)
            if asked and "no range" not in fault and self.headers["If-Range"] == state.etag:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if start:
                self.send_response(206)
                shown = 0 if fault == "wrong range" else start
                self.send_header("Content-Range", f"bytes {shown}-{total - 1}/{total}")
            else:
                self.send_response(200)
            lie = 1000 if "says more" in fault else -1000 if "says less" in fault else 0
            self.send_header("Content-Length", str(total - start + lie))
            self.send_header("ETag", state.etag)
            digest = base64.b64encode(hashlib.md5(body).digest()).decode()
            if fault != "no checksum":
                self.send_header("x-goog-hash", f"crc32c=AAAAAA==,md5={digest}")
            self.end_headers()
            end = start + (total - start) // 2 if "drop" in fault else total
            self.wfile.write(body[start:end])
            self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=[0.01], daemon=True)
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_port}"
        yield state
        http.shutdown()


def get(server: Server, folder: Path, *names: str) -> None:
    files = {f"{server.url}/{name}": folder / name for name in names}
    fetch(files, pause=0.001)
    assert not [*folder.glob("*.part*")]


@pytest.mark.parametrize(
    "faults",
    [
        [],
        ["drop", "drop", "drop", "drop", "drop", "drop", "drop"],
        ["500"],
        ["503", "429", "drop", "500"],
        ["drop", "no range"],
        ["drop", "no range drop", "no range"],
        ["drop", "wrong range"],
        ["says more"],
        ["says less"],
        ["drop", "says more"],
        ["drop", "416"],
    ],
    ids=" ".join,
)
def test_what_goes_wrong_for_a_while_does_not_matter(
    server: Server, tmp_path: Path, faults: list[str]
) -> None:
    server.script["/cat"] = [*faults]
    get(server, tmp_path, "cat")
    assert (tmp_path / "cat").read_bytes() == BODY


def test_a_dropped_download_continues_where_it_was(server: Server, tmp_path: Path) -> None:
    server.script["/cat"] = ["drop"]
    get(server, tmp_path, "cat")
    assert server.requests == [("/cat", None), ("/cat", f"bytes={len(BODY) // 2}-")]


def test_a_stopped_download_continues_in_the_next_call(server: Server, tmp_path: Path) -> None:
    server.script["/cat"] = ["drop", *["500"] * 5]
    with pytest.raises(DownloadError, match="500"):
        get(server, tmp_path, "cat")
    assert (tmp_path / "cat.part").stat().st_size == len(BODY) // 2
    get(server, tmp_path, "cat")
    assert server.requests[-1] == ("/cat", f"bytes={len(BODY) // 2}-")
    assert (tmp_path / "cat").read_bytes() == BODY


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    server.script["/cat"] = ["drop", *["500"] * 5]
    with pytest.raises(DownloadError):
        get(server, tmp_path, "cat")
    server.body, server.etag = b"short now", '"two"'
    get(server, tmp_path, "cat")
    assert (tmp_path / "cat").read_bytes() == b"short now"


def test_a_part_that_is_whole_already_is_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cat.part").write_bytes(BODY)
    (tmp_path / "cat.part.etag").write_text('"one"')
    get(server, tmp_path, "cat")
    assert (tmp_path / "cat").read_bytes() == BODY
    assert server.requests == [("/cat", f"bytes={len(BODY)}-")]


def test_a_part_of_unknown_origin_is_not_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cat.part").write_bytes(b"something else")
    get(server, tmp_path, "cat")
    assert (tmp_path / "cat").read_bytes() == BODY


@pytest.mark.parametrize(
    "fault", ["404", "500", "says more, no range", "says less", "no range, drop"]
)
def test_a_lasting_fault_is_an_error_and_the_others_arrive(
    server: Server, tmp_path: Path, fault: str
) -> None:
    server.always["/cat"] = server.always["/dog"] = fault
    with pytest.raises(DownloadError, match=r"2 of 4 files failed.*/cat: .*/dog: "):
        get(server, tmp_path, "cat", "dog", "ape", "bee")
    assert {path.name for path in tmp_path.iterdir() if "." not in path.name} == {"ape", "bee"}
    assert (tmp_path / "bee").read_bytes() == BODY


def test_a_missing_file_is_not_asked_for_twice(server: Server, tmp_path: Path) -> None:
    server.always["/cat"] = "404"
    with pytest.raises(DownloadError, match="404 Not Found"):
        get(server, tmp_path, "cat")
    assert len(server.requests) == 1


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cat").write_bytes(b"mine")
    get(server, tmp_path, "cat")
    assert server.requests == []


def test_no_server_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"http://127.0.0.1:9/cat"):
        fetch({"http://127.0.0.1:9/cat": tmp_path / "cat"}, pause=0.001)


def test_a_folder_that_cannot_be_made_is_a_storage_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        get(server, tmp_path / "file", "cat")


def test_progress_counts_what_is_resumed_and_ends_at_the_total(
    server: Server, tmp_path: Path
) -> None:
    calls: list[tuple[int, int]] = []
    server.script["/cat"] = ["drop"]
    files = {f"{server.url}/{name}": tmp_path / name for name in ("cat", "dog")}
    fetch(files, pause=0.001, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (2 * len(BODY), 2 * len(BODY))


def test_the_public_addresses_are_quoted(tmp_path: Path) -> None:
    files = quickdraw_files(["The Eiffel Tower"], tmp_path, "binary")
    assert files == {
        "https://storage.googleapis.com/quickdraw_dataset/full/binary/The%20Eiffel%20Tower.bin": (
            tmp_path / "The Eiffel Tower.bin"
        )
    }
    with pytest.raises(InputError, match="category"):
        quickdraw_files(["../etc"], tmp_path)


def test_the_command_fetches_and_reports(server: Server, tmp_path: Path) -> None:
    server.script["/simplified/a%20cat.ndjson"] = ["drop"]
    args = ["masks", "fetch", "--categories", "a cat, dog", "--out", str(tmp_path / "new")]
    result = CliRunner().invoke(main, [*args, "--base-url", server.url])
    assert result.exit_code == 0, result.output
    assert f"2 files, {2 * len(BODY) / 1e6:.1f} MB" in result.stdout
    assert (tmp_path / "new" / "a cat.ndjson").read_bytes() == BODY


def test_forms_of_a_category_do_not_stand_for_each_other(tmp_path: Path) -> None:
    paths = [*(quickdraw_files(["cat"], tmp_path, form).values() for form in get_args(Form))]
    assert len({path for (path,) in paths}) == 3
