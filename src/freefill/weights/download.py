"""Downloads that can be cut and go on: one file over HTTP into ``NAME.partial``.

A download goes on with a Range request, under the condition (If-Range) that the file is still the
one that the first bytes came from; a server that knows no ranges makes it start again. Whether the
file is the right one is not known here: the caller checks its sha256.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPException, InvalidURL
from pathlib import Path
from ssl import SSLCertVerificationError
from typing import IO, Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from freefill import __version__
from freefill.errors import WeightsError
from freefill.files.json_files import read_json
from freefill.weights.addresses import check_address

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Told the bytes that are there and the bytes there will be."""

TIMEOUT = 30.0
"""Seconds without one byte after which a connection is given up."""
ATTEMPTS = 4
"""Connections in a row that brought nothing new before a download is given up."""
PAUSE = 0.5
"""Seconds before the second attempt; doubled for each one after."""
CHUNK = 1 << 18
LARGEST_CARD = 1_000_000

_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""What a server answers that may answer better in a moment."""


class _BrokenError(Exception):
    """A connection that broke: another one may do."""


class _PastEndError(_BrokenError):
    """The server has nothing after what is here: what is here is of another file."""


class _Redirects(HTTPRedirectHandler):
    """Follows a server to another address, but not out of HTTPS."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        check_address(newurl)
        if req.type == "https" and not newurl.lower().startswith("https:"):
            raise WeightsError(f"{req.full_url} sends on to {newurl}, which is not https: refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def state_of(partial: Path) -> Path:
    """Give the file beside a partial download that says which file it is a part of."""
    return partial.with_name(f"{partial.name}.json")


def discard(partial: Path) -> None:
    """Delete a partial download."""
    partial.unlink(missing_ok=True)
    state_of(partial).unlink(missing_ok=True)


def size_of(url: str) -> int:
    """Ask for the size of a file.

    Args:
        url: Its https, http or file address.

    Returns:
        Its bytes.

    Raises:
        WeightsError: If it cannot be had, or the server does not say.
    """
    check_address(url)

    def ask() -> str:
        with _open(url, {}, "HEAD") as response:
            return str(response.headers.get("Content-Length", ""))

    length = _attempts(url, ask)
    if not length.isdecimal():
        raise WeightsError(f"{url}: the server does not say how large the file is")
    return int(length)


def read(url: str, limit: int = LARGEST_CARD) -> bytes:
    """Read a small file: a card, an index.

    Args:
        url: Its https, http or file address.
        limit: Bytes that it may have.

    Returns:
        Its content.

    Raises:
        WeightsError: If it cannot be had, or is larger than that.
    """
    check_address(url)

    def ask() -> bytes:
        with _open(url, {}) as response, _network(url):
            content: bytes = response.read(limit + 1)
            return content

    content = _attempts(url, ask)
    if len(content) > limit:
        raise WeightsError(f"{url} has more than {limit:,} bytes: that is another file")
    return content


def _attempts(url: str, ask: Callable[[], T]) -> T:
    for attempt in range(ATTEMPTS):
        try:
            return ask()
        except _BrokenError as error:
            reason = str(error)
            time.sleep(PAUSE * 2**attempt)
    raise WeightsError(f"{url} cannot be fetched: {reason}")


def download(url: str, partial: Path, size: int, sha256: str, progress: Progress) -> bool:
    """Download a file, going on where an earlier download of it was cut.

    Args:
        url: Its https, http or file address.
        partial: Where it is written; kept when the download is cut, by Ctrl-C too.
        size: The bytes it must have.
        sha256: The sum it should have; a partial download of another one is not gone on with.
        progress: Called at the start and with every piece.

    Returns:
        Whether the file is of more than one piece, and so may be of two different files.

    Raises:
        WeightsError: If the server has no such file, or one of another size, or the connection
            broke again and again.
        OSError: If the file cannot be written.
    """
    check_address(url)
    if _state(partial).get("sha256") != sha256 or _length(partial) > size:
        discard(partial)
    furthest = done = _length(partial)
    pieces, failures = done > 0, 0
    while done < size:
        reason = "the answer ended early"
        try:
            pieces = _attempt(url, partial, size, sha256, progress) or pieces
        except _BrokenError as error:
            reason = str(error)
        done = _length(partial)
        if done < size:
            failures = 0 if done > furthest else failures + 1
            if failures == ATTEMPTS and not done:
                raise WeightsError(f"{url} cannot be fetched: {reason}, {ATTEMPTS} times in a row")
            if failures == ATTEMPTS:
                raise WeightsError(
                    f"{url} stopped at {done:,} of {size:,} bytes ({reason}): the same command "
                    "goes on from there"
                )
            time.sleep(PAUSE * 2**failures)
        furthest = max(furthest, done)
    return pieces


def _attempt(url: str, partial: Path, size: int, sha256: str, progress: Progress) -> bool:
    """Read what one connection gives; tell whether it was added to what was there."""
    done, tag = _length(partial), _state(partial).get("tag")
    wanted = {"Range": f"bytes={done}-"} if done else {}
    if done and tag:
        wanted["If-Range"] = tag
    try:
        answer = _open(url, wanted)
    except _PastEndError as error:
        total = str(error).partition("/")[2]
        if total.isdecimal() and int(total) != size:
            raise _wrong_size(url, f"{int(total):,}", size) from None
        discard(partial)
        raise _BrokenError("the file on the server has changed") from None
    with answer as response:
        status = getattr(response, "status", None) or 200  # a file address has none
        start, whole = _place(status, response.headers)
        if whole is not None and whole != size:
            raise _wrong_size(url, f"{whole:,}", size)
        now = _tag(response.headers)
        if start and (start != done or (tag and now and tag != now)):
            discard(partial)
            raise _BrokenError("the file on the server has changed")
        if not start:
            done = 0
            partial.unlink(missing_ok=True)
            state_of(partial).write_text(json.dumps({"sha256": sha256, "tag": now}), "utf-8")
        with partial.open("ab") as file:
            progress(done, size)
            while True:
                with _network(url):
                    piece = response.read1(CHUNK)
                if not piece:
                    # On disk before it gets its name: losing power leaves no empty weights.
                    file.flush()
                    os.fsync(file.fileno())
                    return start > 0
                done += len(piece)
                if done > size:
                    break
                file.write(piece)
                progress(done, size)
    discard(partial)
    raise _wrong_size(url, f"more than {size:,}", size)


def _wrong_size(url: str, found: str, size: int) -> WeightsError:
    return WeightsError(
        f"{url} has {found} bytes where {size:,} are expected: it is another file, or not whole"
    )


def _place(status: int, headers: Message) -> tuple[int, int | None]:
    """Give the byte that an answer starts at, and the size of the whole file if it says so."""
    if status == 206:
        found = re.match(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
        # An answer that does not say what it is a part of is of no use: -1 fits nothing.
        start, total = found.groups() if found else ("-1", "*")
        return int(start), None if total == "*" else int(total)
    length = headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _open(url: str, headers: dict[str, str], method: str = "GET") -> Any:
    headers = {"User-Agent": f"freefill/{__version__}", **headers}
    request = Request(url, headers=headers, method=method)  # noqa: S310 checked
    with _network(url):
        return build_opener(_Redirects).open(request, timeout=TIMEOUT)


@contextmanager
def _network(url: str) -> Iterator[None]:
    """Tell errors that another attempt may mend from those that it cannot."""
    try:
        yield
    except HTTPError as error:
        error.close()
        words = f"{error.code} {error.reason}"
        if error.code == 416:
            raise _PastEndError(error.headers.get("Content-Range", "")) from None
        if error.code in _PASSING:
            raise _BrokenError(words) from None
        raise WeightsError(f"{url} cannot be fetched: the server answers {words}") from None
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        words = f"{getattr(reason, 'strerror', None) or reason or type(reason).__name__}"
        if isinstance(reason, TimeoutError):
            words = f"nothing came for {TIMEOUT:g} s"
        if url.startswith("file:") or isinstance(reason, (SSLCertVerificationError, InvalidURL)):
            raise WeightsError(f"{url} cannot be fetched: {words}") from None
        raise _BrokenError(words) from None
    except ValueError as error:  # a host's name that no encoding takes, for one
        raise WeightsError(f"{url} cannot be fetched: {error}") from None


def _tag(headers: Message) -> str | None:
    """Give what names this state of the file; a weak ETag does not."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")


def _length(partial: Path) -> int:
    return partial.stat().st_size if partial.exists() else 0


def _state(partial: Path) -> dict[str, Any]:
    try:
        return read_json(state_of(partial), WeightsError)
    except (FileNotFoundError, WeightsError):
        return {}
