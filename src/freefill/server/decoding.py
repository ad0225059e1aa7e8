"""Decoding in processes of its own, one a worker: a decoder can be ended, a thread cannot.

Decoders are programs in C that are fed by strangers. A process that is in one is killed when
nobody waits for its request any more; it may take so much memory and no more; and a fault in it
costs the request that caused it. The server's own permissions are its, too: it is no sandbox.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from queue import LifoQueue
from typing import Any

from freefill.errors import FreefillError, GuidanceError, ImageError, MaskError, OutOfMemoryError
from freefill.imaging.picture import Picture
from freefill.pipeline.engines.stopping import stoppable
from freefill.server.decoder_process import receive, send

START = "from freefill.server.decoder_process import main; main()"
"""What the process runs."""


class Decoder:
    """A process that decodes the files of one request at a time; it is started when needed."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.ending = self.ready = False
        self.files: Mapping[str, bytes] = {}

    def start(self) -> None:
        """Start the process, unless it runs.

        Raises:
            OutOfMemoryError: If the system has no room for one more.
        """
        if self.process is not None and not self.ending and self.process.poll() is None:
            return
        self.close()
        # As this process finds modules, and never in the folder that it happens to stand in.
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        # Ctrl-C is for the server, not for all that it has started.
        options: dict[str, Any] = {} if sys.platform == "win32" else {"process_group": 0}
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=env,
                **options,
            )
        except OSError as error:
            raise OutOfMemoryError(
                f"no process to decode in can be started ({error.strerror})"
            ) from None

    def wait(self) -> None:
        """Have a process that has loaded what it needs.

        Raises:
            OutOfMemoryError: As :meth:`start`.
        """
        self.start()
        if not self.ready:
            self._receive("image")
            self.ready = True

    def close(self) -> None:
        """End the process."""
        process, self.process, self.files = self.process, None, {}
        self.ending = self.ready = False
        if process is None:
            return
        process.kill()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):  # what it was not sent any more
            process.stdin.close()
        process.stdout.close()
        process.wait()

    @property
    def terminate(self) -> bool:
        """Whether it is being ended; to set it kills the process, from any thread."""
        return self.ending

    @terminate.setter
    def terminate(self, value: bool) -> None:
        self.ending = value
        if value and self.process is not None:
            self.process.kill()

    def measure(self, files: Mapping[str, bytes], max_pixels: int) -> dict[str, int]:
        """Look up how many pixels files have, without decoding them.

        Args:
            files: By their fields; they are what :meth:`read` reads.
            max_pixels: The most that each may have.

        Returns:
            Width times height of each; a guess where that cannot be told.

        Raises:
            FreefillError: If a file ends the process.
            OutOfMemoryError: If there is no memory.
            StoppedRunError: If it was ended because nobody waits any more.
        """
        # Nothing is gained by ending one that only begins, and with a short time limit none would
        # ever have begun.
        self.wait()
        with stoppable(self):
            self._send(({k: pickle.PickleBuffer(v) for k, v in files.items()}, max_pixels))
            self.files = files
            return {name: self._receive(name) for name in files}

    def read(self) -> dict[str, Picture]:
        """Decode the files that were measured last.

        Returns:
            The pictures, by the same fields.

        Raises:
            FreefillError: If one cannot be read, which is named unless it is the photo.
            OutOfMemoryError: If that would take more memory than it may.
            StoppedRunError: As :meth:`measure`.
        """
        pictures = {}
        with stoppable(self):
            files, self.files = self.files, {}
            self._send(True)
            for name, content in files.items():
                picture, kept = self._receive(name)
                if kept:
                    metadata = replace(picture.source_metadata, jpeg=content)
                    picture = replace(picture, source_metadata=metadata)
                pictures[name] = picture
        return pictures

    def settle(self) -> None:
        """Be ready for the next request: nothing of this one is kept, and a process is there."""
        if self.files:
            self.files = {}
            self._send(False)
        with suppress(OutOfMemoryError):  # then the next request is told
            self.start()

    def _send(self, value: object) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        # Where the process has ended, it is the answer that does not come.
        with suppress(OSError):
            send(self.process.stdin, value)

    def _receive(self, name: str) -> Any:
        assert self.process is not None
        assert self.process.stdout is not None
        try:
            answer = receive(self.process.stdout)
        except EOFError:
            raise self._ended(name) from None
        except Exception:
            self.terminate = True  # nobody knows any more where the next answer begins
            raise
        if isinstance(answer, ImageError):
            raise _named(answer, name)
        if isinstance(answer, FreefillError):
            raise answer
        return answer

    def _ended(self, name: str) -> Exception:
        """Say why the process has ended in the middle of a file."""
        assert self.process is not None
        code = self.process.wait()
        if code >= 0:
            return RuntimeError(f"the process that decodes has ended with {code}")
        if -code == signal.SIGKILL:
            return OutOfMemoryError(
                "the process that decoded this was killed, as systems do that are short of memory"
            )
        ended = signal.Signals(-code).name
        return _named(
            ImageError(
                f"its decoder has failed ({ended}): the file is damaged or was made to do harm"
            ),
            name,
        )


class Decoders:
    """As many processes as there are workers, so that nobody waits for one.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self.all = [Decoder() for _ in range(count)]
        # The one that was used last is the one that is warm.
        self.idle: LifoQueue[Decoder] = LifoQueue()
        for decoder in self.all:
            self.idle.put(decoder)

    def start(self) -> None:
        """Start all of them, ahead of the first request."""
        for decoder in self.all:
            decoder.settle()

    @contextmanager
    def one(self) -> Iterator[Decoder]:
        """Have one for a request."""
        decoder = self.idle.get()
        try:
            yield decoder
        finally:
            decoder.settle()
            self.idle.put(decoder)

    def close(self) -> None:
        """End all of them; nobody may have one."""
        for decoder in self.all:
            decoder.close()


def _named(error: ImageError, name: str) -> FreefillError:
    """Say of an error which file it is about, and what that is."""
    if name == "image":
        return error
    if name == "mask":
        return MaskError(f"mask: {error}")
    if name in ("sketch", "colour"):
        return GuidanceError(f"{name}: {error}")
    return ImageError(f"{name}: {error}")
