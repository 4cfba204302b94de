"""Serves the page of `hilum view` to this machine alone: one secret address, numbered cases, nothing written."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import urlsplit

from hilum.errors import ConfigError, HilumError
from hilum.report.viewer.assets import asset, page

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
"""What a browser on this machine may call the server; any other name is a page that was pointed here by its DNS."""
TOKEN_BYTES = 16
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self' data: blob:; img-src 'self' data: blob:; font-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
LAYERS = ("truth", "prediction")
JSON, NIFTI = "application/json; charset=utf-8", "application/octet-stream"
ASSETS = {
    "viewer.js": "text/javascript; charset=utf-8",
    "viewer.css": "text/css; charset=utf-8",
    "niivue.umd.js": "text/javascript; charset=utf-8",
}

Answer = tuple[str, bytes]
"""Type and content of what is sent."""


class Shown(Protocol):
    """What the page shows: cases by their number, each with its image, its truth and its prediction.

    A number that no case has raises IndexError, a layer that a case has not LookupError, what cannot be read DataError.
    """

    def listing(self) -> Mapping[str, Any]:
        """All cases, the classes, and what the page says of them."""

    def about(self, case: int) -> Mapping[str, Any]:
        """What is known of one case without reading its voxels."""

    def image(self, case: int, channel: int) -> bytes:
        """One channel of the image as NIfTI."""

    def labels(self, case: int, layer: str) -> bytes:
        """Truth or prediction as NIfTI: the number of the structure at each voxel."""

    def outline(self, case: int, layer: str) -> bytes:
        """The edges of the truth or the prediction as NIfTI."""

    def middle(self, case: int, layer: str) -> Mapping[str, Any]:
        """A point in the structures of truth or prediction, in millimetres; None where there are none."""

    def progress(self, case: int) -> Mapping[str, Any]:
        """How far the prediction of a case is; asking begins it where it is not there yet."""


@dataclass(frozen=True)
class Routes:
    """What lies under which path of the server."""

    shown: Shown

    def answer(self, path: str) -> Answer:
        """The content of a path. Raises LookupError where there is none."""
        if path == "":
            return "text/html; charset=utf-8", page().encode()
        if path in ASSETS:
            return ASSETS[path], asset(path)
        if path == "cases.json":
            return JSON, _as_json(self.shown.listing())
        if path.startswith("middle/"):
            layer, _, number = path.removeprefix("middle/").partition("/")
            return JSON, _as_json(self.shown.middle(_number(number), _layer(layer)))
        kind, *numbers = path.removesuffix(".nii").split("/")
        if not numbers:
            raise LookupError(path)
        return self._of_case(kind, [_number(text) for text in numbers])

    def _of_case(self, kind: str, numbers: list[int]) -> Answer:
        case, *more = numbers
        if kind == "image" and len(more) == 1:
            return NIFTI, self.shown.image(case, more[0])
        if more:
            raise LookupError(kind)
        told: dict[str, Callable[[int], Mapping[str, Any]]] = {
            "case": self.shown.about,
            "progress": self.shown.progress,
        }
        if kind in told:
            return JSON, _as_json(told[kind](case))
        layer, _, edges = kind.partition("-")
        if edges not in ("", "outline"):
            raise LookupError(kind)
        return NIFTI, (self.shown.outline if edges else self.shown.labels)(case, _layer(layer))


class Server(ThreadingHTTPServer):
    """A server on 127.0.0.1 that answers to whoever knows its secret address; to be closed."""

    daemon_threads = True

    def __init__(self, shown: Shown, port: int = 0) -> None:
        """Take a port, a free one by default. Raises ConfigError where it cannot be had."""
        self.routes = Routes(shown)
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"--port {port}: {error}; take another one, or none for one that is free") from error

    @property
    def address(self) -> str:
        """What the browser is to open."""
        return f"http://{HOST}:{self.server_address[1]}/{self.token}/"

    def knows(self, host: str | None) -> bool:
        """Whether a request calls the server by a name that this machine has for itself."""
        return host in [f"{name}:{self.server_address[1]}" for name in NAMES]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away in the middle of an answer; of anything else, all."""
        import sys

        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD, and refuses everything else."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "hilum", ""

    def do_GET(self) -> None:
        """Send what lies under the path."""
        path = urlsplit(self.path).path
        token, slash, rest = path.removeprefix("/").partition("/")
        if not self.server.knows(self.headers.get("Host")):
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this server is called 127.0.0.1")
        elif not slash or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN, "open the address that hilum view printed, all of it")
        else:
            self._answer(rest)

    do_HEAD = do_GET  # noqa: N815 (the library's name)

    def _answer(self, path: str) -> None:
        try:
            kind, content = self.server.routes.answer(path)
        except LookupError:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such thing")
        except (HilumError, OSError) as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        else:
            self._send(HTTPStatus.OK, kind, content)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(status, "text/plain; charset=utf-8", why.encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
        """Say nothing: the terminal is for what predicts."""


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise LookupError(text)
    return int(text)


def _layer(text: str) -> str:
    if text not in LAYERS:
        raise LookupError(text)
    return text


def _as_json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
