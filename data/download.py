"""Downloads that survive a bad network: resumed, size-checked, several at once.

An unfinished file is kept as `NAME.part`, with the server's ETag in `NAME.part.etag`: it is only
continued where the server says that the file is still the same one.
"""

import base64
import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import Final, Literal
from urllib.parse import quote

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from ..errors import DownloadError, InputError
from .files import make_folder, storage_errors, sync_folder
from .progress import Progress, silent

QUICKDRAW_URL: Final = "https://storage.googleapis.com/quickdraw_dataset/full"
MAX_STALLED: Final = 5  # attempts in a row that bring nothing new

Form = Literal["simplified", "raw", "binary"]


class _TransientError(Exception):
    """The server failed in a way that may pass."""


def quickdraw_files(
    categories: list[str], out: Path, form: Form = "simplified", base_url: str = QUICKDRAW_URL
) -> dict[str, Path]:
    """Where the public Quick, Draw! files of some categories are, and where they go.

    Returns:
        URL to path inside `out`.

    Raises:
        InputError: a name cannot be that of a category.
    """
    ending = "bin" if form == "binary" else "ndjson"
    kept = "raw.ndjson" if form == "raw" else ending  # beside the simplified ones
    for name in categories:
        if not name.strip() or "/" in name:
            raise InputError(f"{name!r} is not the name of a category")
    return {
        f"{base_url}/{form}/{quote(name)}.{ending}": out / f"{name}.{kept}" for name in categories
    }


def fetch(
    files: Mapping[str, Path], *, jobs: int = 4, pause: float = 1.0, progress: Progress = silent
) -> None:
    """Download files, several at once; those that are there already are left as they are.

    One that fails does not stop the others. Stopped half-way, the next call goes on.

    Args:
        files: URL to path.
        jobs: downloads at the same time.
        pause: at most so many seconds before the second attempt; it doubles with each one.
        progress: called with bytes received and bytes in all, as far as the servers have told.

    Raises:
        DownloadError: what could not be fetched, and why; all others are complete.
        StorageError: a file cannot be written.
    """
    for folder in {path.parent for path in files.values()}:
        make_folder(folder)
    stop = Event()
    with (
        httpx.Client(follow_redirects=True, timeout=30) as client,
        ThreadPoolExecutor(jobs) as pool,
    ):
        downloads = [_Download(client, url, path, pause, stop) for url, path in files.items()]
        running = [pool.submit(download.run) for download in downloads]
        try:
            failed = _watch(running, downloads, progress)
        except BaseException:  # Ctrl-C, or a full disk: the threads must end before we do
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    if failed:
        raise DownloadError(f"{len(failed)} of {len(files)} files failed: {'; '.join(failed)}")


def _watch(
    running: list["Future[None]"], downloads: list["_Download"], progress: Progress
) -> list[str]:
    """Report progress until all is done; returns what failed."""
    failed = []
    left = set(running)
    while left:
        done, left = wait(left, timeout=0.1)
        for future in done:
            if isinstance(error := future.exception(), DownloadError):
                failed.append(str(error))
            elif error is not None:
                raise error
        progress(sum(d.received for d in downloads), sum(d.total for d in downloads))
    return sorted(failed)


class _Download:
    """One file: `received` and `total` bytes may be read from another thread."""

    def __init__(
        self, client: httpx.Client, url: str, path: Path, pause: float, stop: Event
    ) -> None:
        self.received = self.total = 0
        self._client, self._url, self._path, self._stop = client, url, path, stop
        self._part = path.with_name(f"{path.name}.part")
        self._tag = path.with_name(f"{path.name}.part.etag")
        self._pause = pause
        self._most = self._stalled = 0

    def run(self) -> None:
        """Fetch the file, with as many attempts as bring something new."""
        if self._path.exists():
            self.received = self.total = self._path.stat().st_size
            return
        attempts = Retrying(
            retry=retry_if_exception_type((httpx.TransportError, _TransientError)),
            wait=wait_random_exponential(self._pause, max=60),
            stop=self._gives_up,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            with storage_errors(self._path):
                attempts(self._attempt)
        except (httpx.HTTPError, httpx.InvalidURL, _TransientError) as error:
            raise DownloadError(f"{self._url}: {error or type(error).__name__}") from error

    def _gives_up(self, _: RetryCallState) -> bool:
        stalled = self.received <= self._most
        self._stalled = self._stalled + 1 if stalled else 0
        self._most = max(self._most, self.received)
        return self._stop.is_set() or self._stalled >= MAX_STALLED

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _attempt(self) -> None:
        headers = {"Accept-Encoding": "identity"}  # lengths and ranges are those of the file
        have = self._part.stat().st_size if self._part.exists() and self._tag.exists() else 0
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": self._tag.read_text()}
        with self._client.stream("GET", self._url, headers=headers) as response:
            if response.status_code == 416 and _range_total(response) == have:
                self.total = have  # all of it had arrived
            elif response.status_code == 416:
                self._discard()
                raise _TransientError("the server has a shorter file than it had before")
            else:
                self._receive(response, have)
            self._finish(response)

    def _receive(self, response: httpx.Response, have: int) -> None:
        if response.status_code == 206:
            start = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
            if start != str(have):
                self._discard()
                raise _TransientError(f"asked for bytes from {have} on, got them from {start}")
            self.total = _range_total(response)
        elif response.status_code == 200:
            self._discard()
            have = 0
            self.total = int(response.headers.get("Content-Length", 0))
            if (tag := response.headers.get("ETag", "")).startswith('"'):  # weak ones do not do
                self._tag.write_text(tag)
        elif response.status_code in (408, 429) or response.status_code >= 500:
            raise _TransientError(f"{response.status_code} {response.reason_phrase}")
        else:
            raise DownloadError(f"{self._url}: {response.status_code} {response.reason_phrase}")
        self.received = have
        with self._part.open("ab") as file:
            for data in response.iter_raw():
                file.write(data)
                self.received += len(data)
                if self._stop.is_set():
                    raise DownloadError(f"{self._url}: stopped")
            file.flush()
            os.fsync(file.fileno())

    def _finish(self, response: httpx.Response) -> None:
        """Check what has arrived and give it its name."""
        size = self._part.stat().st_size
        if self.total and size != self.total:
            if size > self.total:
                self._discard()
            raise _TransientError(f"{self.total} bytes were promised, {size} came")
        promised = _md5(response)
        if promised and promised != _file_md5(self._part):
            self._discard()
            raise _TransientError(f"the {size} bytes that came are not those of the checksum")
        self._part.replace(self._path)
        sync_folder(self._path.parent)
        self._tag.unlink(missing_ok=True)
        self.received = self.total = size

    def _discard(self) -> None:
        self._part.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)


def _range_total(response: httpx.Response) -> int:
    """The length of the whole file by `Content-Range: bytes 5-9/10` or `bytes */10`; 0: unknown."""
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdecimal() else 0


def _md5(response: httpx.Response) -> str:
    """The file's MD5 in base64, where the server (Google's does) tells it."""
    hashes = response.headers.get("x-goog-hash", "").split(",")
    return next((h.strip().removeprefix("md5=") for h in hashes if "md5=" in h), "")


def _file_md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return base64.b64encode(digest.digest()).decode()
