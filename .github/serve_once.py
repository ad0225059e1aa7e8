"""Start ``freefill serve``, fill a photo over HTTP, and stop it: does the extra work here?"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64encode
from http.client import HTTPConnection
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def main() -> None:
    """Exit with an error unless a filled photo comes back."""
    command = [sys.executable, "-m", "freefill", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        address = ""
        for line in server.stdout or ():
            print(line, end="")
            if found := re.search(r"http://[\w.:]+", line):
                address = found[0]
                break
        photo, mask = EXAMPLES / "coffee.jpg", EXAMPLES / "coffee_mask.png"
        body = {
            name: b64encode(path.read_bytes()).decode()
            for name, path in (("image", photo), ("mask", mask))
        }
        connection = HTTPConnection(address.removeprefix("http://"), timeout=120)
        connection.request(
            "POST", "/v1/fill", json.dumps(body), {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200 or content[:2] != b"\xff\xd8":
            raise SystemExit(f"{answer.status}: {content[:500]!r}")
        print(f"filled over HTTP: {len(content)} bytes")
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main()
