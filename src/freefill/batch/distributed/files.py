"""Files on this disk and objects in S3 under one set of functions.

A location is an absolute path, or ``s3://BUCKET/KEY``, taken literally: nothing in it is decoded.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

from freefill.errors import ConfigError, FreefillError, StorageError
from freefill.files import json_files
from freefill.files.paths import is_hidden, is_within_hidden

REMOTE = "s3://"
PRIVATE = "_manifest"
"""The folder of a batch's destination in which there are no results."""
PARTIAL = f"{PRIVATE}/_partial"
"""Where files lie until they are whole."""
LARGEST = 2**32
"""Bytes of a file that is read as a whole."""
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Why this process, and not one file, cannot read."""
UNFIT = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL)
"""Why one name cannot be written where others can."""


def absolute(location: str) -> str:
    """Give a location in the one way in which it is written everywhere.

    Args:
        location: A path, or ``s3://...``.

    Raises:
        ConfigError: If it is a URL of another kind.

    Examples:
        >>> absolute("s3://photos/new/")
        's3://photos/new'
    """
    if is_remote(location):
        path = location.removeprefix(REMOTE).strip("/")
        if not path:
            raise ConfigError(f"{location} names no bucket: s3://BUCKET/FOLDER does")
        return REMOTE + path
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", location):
        raise ConfigError(f"{location} is no place for a batch: paths on this disk and s3:// are")
    return os.path.abspath(location)


def is_remote(location: str) -> bool:
    """Whether a location is in S3."""
    return location.startswith(REMOTE)


def join(root: str, name: str) -> str:
    """Give the location of a name below a root, or of a name that is a location itself."""
    if is_remote(name) or os.path.isabs(name):
        return name
    if is_remote(root):
        # As paths are read: a table may name ../photos/a.jpg.
        path = os.path.normpath(f"{root.removeprefix(REMOTE)}/{name}")
        return REMOTE + path.replace(os.sep, "/")
    return os.path.normpath(os.path.join(root, name))


def kind(location: str) -> Literal["file", "folder"] | None:
    """Tell what is at a location, if anything."""
    from pyarrow.fs import FileType

    filesystem, path = place(location)
    with _named(location, "looked at"):
        found = filesystem.get_file_info(path).type
    return {FileType.File: "file", FileType.Directory: "folder"}.get(found)  # type: ignore[return-value]


def listing(location: str, *, deep: bool = True) -> list[str]:
    """List the files below a folder, but for hidden ones (:func:`freefill.files.paths.is_hidden`).

    Args:
        location: The folder; one that does not exist holds nothing.
        deep: With all that lie in its folders.

    Returns:
        Their names relative to it, sorted.

    Raises:
        StorageError: If it cannot be listed.
    """
    from pyarrow.fs import FileSelector, FileType

    if not is_remote(location):
        with _named(location, "listed"):
            return sorted(_walked(location, deep))
    filesystem, path = place(location)
    selector = FileSelector(path, recursive=deep, allow_not_found=True)
    with _named(location, "listed"):
        found = filesystem.get_file_info(selector)
    start = len(path.rstrip("/")) + 1
    names = (info.path[start:] for info in found if info.type == FileType.File)
    return sorted(name for name in names if not is_within_hidden(name))


def _walked(root: str, deep: bool) -> Iterator[str]:
    """Give the files below a folder; links to folders are not followed, as ``fill`` does not."""

    def stop(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for folder, folders, names in os.walk(root, onerror=stop):
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in names:
            if is_hidden(name):
                continue
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                yield os.path.relpath(path, root).replace(os.sep, "/")
        if not deep:
            return


def lost(location: str, error: OSError) -> bool:
    """Tell whether it is the place that cannot be read, and not this one file in it.

    Args:
        location: Of the file.
        error: What was said of it.
    """
    if error.errno in EXHAUSTED:
        return True
    bucket, _, key = location.removeprefix(REMOTE).partition("/")
    if is_remote(location) and (not bucket or not key or isinstance(error, FileNotFoundError)):
        return False  # no file has such a name, or the server has answered that there is none
    folder = location.rpartition("/")[0] or "/"
    try:
        there = kind(folder)
    except StorageError:
        return True
    return there is None and not is_remote(location)


REFUSED = re.compile(r"AWS Error ACCESS_DENIED|HTTP status (?!408|429)[34]\d\d")


def refused(error: OSError) -> bool:
    """Tell whether a server is there, and does not give this object or its bucket.

    Nobody may read it, the bucket is in another region, or has a name that none can have; the same
    is said where credentials have run out.
    """
    return REFUSED.search(str(error)) is not None


def read(location: str) -> bytes:
    """Read a whole file.

    Raises:
        OSError: If it cannot be read, or is a pipe or a device, which may have no end.
    """
    if not is_remote(location):
        with open(location, "rb", opener=json_files.open_at_once) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "it is no file: it is a folder, a pipe or a device")
            if found.st_size > LARGEST:
                why = f"it has {found.st_size:,} bytes, of {LARGEST:,} that a file may have"
                raise OSError(errno.EFBIG, why)
            return file.read()
    filesystem, path = place(location)
    with filesystem.open_input_stream(path) as stream:
        content: bytes = stream.read()
    return content


def read_json(location: str, error: type[FreefillError], what: str) -> dict[str, Any]:
    """Read JSON that holds an object; see :func:`freefill.files.json_files.read_json`.

    Args:
        location: Of the file.
        error: What is raised if it is no such JSON.
        what: What it is to hold.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it cannot be read.
        FreefillError: As ``error``.
    """
    if not is_remote(location):
        return json_files.read_json(Path(location), error, what)
    filesystem, path = place(location)
    with filesystem.open_input_stream(path) as stream:
        content: bytes = stream.read(json_files.MOST + 1)
    if len(content) > json_files.MOST:
        raise error(f"{location} has more than the {json_files.MOST:,} bytes that it may have")
    return json_files.parse_json(content, location, error, what)


def opened(location: str, *, seekable: bool = False) -> Any:
    """Open a file that is not to be read at once; ``seekable`` for one with an index at its end."""
    filesystem, path = place(location)
    return filesystem.open_input_file(path) if seekable else filesystem.open_input_stream(path)


def write(root: str, name: str, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, whoever else writes it.

    Args:
        root: A batch's destination.
        name: Below it.
        content: The bytes.

    Raises:
        OSError: If it cannot be written.
    """
    if is_remote(root):
        # Up to some MB one request, else parts that become an object when they are complete.
        filesystem, path = place(join(root, name))
        with filesystem.open_output_stream(path) as stream:
            stream.write(content)
        return
    target, partial = Path(root, name), Path(root, PARTIAL, token_hex(8))
    try:
        partial.write_bytes(content)
    except FileNotFoundError:
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
    try:
        try:
            partial.replace(target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def remove(location: str) -> None:
    """Remove a file, if it is there."""
    if not is_remote(location):
        Path(location).unlink(missing_ok=True)
        return
    filesystem, path = place(location)
    filesystem.delete_file(path)


def sweep(root: str) -> None:
    """Remove what a run that was killed has left half written."""
    if not is_remote(root):
        shutil.rmtree(Path(root, PARTIAL), ignore_errors=True)


def place(location: str) -> tuple[Any, str]:
    """Give pyarrow's file system of a location, and its path there."""
    if not is_remote(location):
        from pyarrow.fs import LocalFileSystem

        return LocalFileSystem(), location
    path = location.removeprefix(REMOTE)
    return _s3(path.partition("/")[0]), path


@cache
def _s3(bucket: str) -> Any:
    """Connect to S3, or to a server that is like it, as the environment says."""
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    scheme, colon, host = address.rpartition("://")
    if address and not colon:
        raise ConfigError(
            f"AWS_ENDPOINT_URL is {address}: write it as http://HOST:PORT or https://HOST"
        )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region is None:
        with _named(REMOTE + bucket, "found"):
            region = "us-east-1" if address else resolve_s3_region(bucket)
    return S3FileSystem(
        region=region,
        endpoint_override=host or None,
        scheme=scheme or None,
        # One request for a small object, and none that asks first whether the bucket is there.
        allow_delayed_open=True,
        background_writes=False,
        connect_timeout=5,
        request_timeout=60,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=5),
    )


@contextmanager
def _named(location: str, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{location} cannot be {done}: {reason(error)}") from None


def reason(error: OSError) -> str:
    """Say in a few words what the system, or the server, has said."""
    text = error.strerror or str(error)
    # Numbers of requests say nothing to a reader, and are another each time.
    return re.sub(r"\s*\(Request ID: [^)]*\)", "", text)


def printable(name: str) -> str:
    r"""Write out what of a name on this disk is not UTF-8.

    Examples:
        >>> print(printable("a" + chr(0xDCFF) + ".jpg"))
        a\udcff.jpg
    """
    return name.encode("utf-8", "backslashreplace").decode()


def unsafe(name: str) -> str | None:
    """Say why a name from a listing or an archive must not become that of a result.

    Examples:
        >>> unsafe("a/b.jpg"), unsafe("../b.jpg")
        (None, "../b.jpg: no result can have this name ('..' in it)")
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"{printable(name)}: its name is not UTF-8, which the manifest is: rename it"
    parts = name.split("/")
    for bad in ("", ".", ".."):
        if bad in parts:
            return f"{name}: no result can have this name ({bad!r} in it)"
    if parts[0] == PRIVATE or "\0" in name or (os.sep == "\\" and "\\" in name):
        return f"{name}: no result can have this name ({PRIVATE} is the manifest's)"
    return None
