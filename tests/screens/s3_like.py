"""As much of S3 on this machine as reading without credentials asks for: HEAD, GET with ranges, ListObjectsV2."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class Bucket(ThreadingHTTPServer):
    """Serves the files of a folder as the objects of one bucket, and remembers what was asked.

    Attributes:
        root: of the objects.
        name: of the bucket.
        asked: method and key of every request.
        signed: keys that were asked for with credentials.
        forbidden: keys that are answered with 403.
        busy: keys that are answered with 503 so many times before they are served.
    """

    daemon_threads = True

    def __init__(self, root: Path, name: str = "screens"):
        super().__init__(("127.0.0.1", 0), _Object)
        self.root, self.name = root, name
        self.asked: list[tuple[str, str]] = []
        self.signed: list[str] = []
        self.forbidden: set[str] = set()
        self.busy: dict[str, int] = {}

    @property
    def address(self) -> str:
        """For AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def bucket_of(root: Path) -> Iterator[Bucket]:
    """A running bucket."""
    with Bucket(root) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Object(BaseHTTPRequestHandler):
    server: Bucket
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        address = urlsplit(self.path)
        bucket, _, key = unquote(address.path).lstrip("/").partition("/")
        self.server.asked.append((self.command, key))
        if "Authorization" in self.headers:
            self.server.signed.append(key)
        if bucket != self.server.name:
            self._fault(404, "NoSuchBucket", with_body)
        elif not key:
            self._list(parse_qs(address.query)) if with_body else self._send(200, b"", with_body)
        elif key in self.server.forbidden:
            self._fault(403, "AccessDenied", with_body)
        elif self.server.busy.get(key, 0) > 0:
            self.server.busy[key] -= 1
            self._fault(503, "SlowDown", with_body)
        elif not (path := self.server.root / key).is_file() or ".." in key.split("/"):
            self._fault(404, "NoSuchKey", with_body)
        else:
            self._object(path, with_body)

    def _object(self, path: Path, with_body: bool) -> None:
        content = path.read_bytes()
        facts = {"ETag": f'"{hashlib.md5(content).hexdigest()}"', "Content-Type": "image/tiff",
                 "Last-Modified": formatdate(path.stat().st_mtime, usegmt=True), "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            self._send(200, content, with_body, facts)
            return
        first, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
        if first > last:
            self._fault(416, "InvalidRange", with_body)
            return
        facts["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._send(206, content[first:last + 1], with_body, facts)

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix, delimiter = (query.get(word, [""])[0] for word in ("prefix", "delimiter"))
        keys = [path.relative_to(self.server.root).as_posix() for path in sorted(self.server.root.rglob("*"))
                if path.is_file()]
        found, folders = "", set()
        for key in (key for key in keys if key.startswith(prefix)):
            rest = key[len(prefix):]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            size = (self.server.root / key).stat().st_size
            found += (f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><ETag>&quot;0&quot;</ETag>"
                      "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>")
        for name in sorted(folders):
            found += f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
        body = (f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="{NAMESPACE}"><Name>{self.server.name}'
                f"</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{found.count('<Key>')}</KeyCount>"
                f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{found}</ListBucketResult>")
        self._send(200, body.encode(), True, {"Content-Type": "application/xml"})

    def _fault(self, status: int, code: str, with_body: bool) -> None:
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self._send(status, body, with_body, {"Content-Type": "application/xml"})

    def _send(self, status: int, body: bytes, with_body: bool, facts: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(facts or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)
