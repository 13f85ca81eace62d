"""What every request meets first: caps on its body and on how many are under way, and how an error is told."""

import logging
from collections.abc import Awaitable, Callable

from dssl_bio.app.api.engine import NotServed
from dssl_bio.app.asgi import Message, Receive, Scope, Send, with_headers
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from dssl_bio.errors import DsslBioError

logger = logging.getLogger(__name__)

MAX_JSON_BYTES = 8_000_000
MAX_IMAGES_BYTES = 128_000_000
MAX_UNDER_WAY = 64
IMAGES_PATH = "/phenotype-to-molecules/images"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
                               "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
}
MAX_TOLD = 5


class Guard:
    """Refuses a body beyond its cap while it arrives, and requests beyond what is worked at; sets our headers."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], max_under_way: int = MAX_UNDER_WAY):
        self.app, self.max_under_way, self.under_way = app, max_under_way, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        send_with_headers = with_headers(send, HEADERS)
        if self.under_way >= self.max_under_way:
            busy = problem(429, f"{self.under_way} requests are under way; try again in a second")
            busy.headers["Retry-After"] = "1"
            await busy(scope, receive, send_with_headers)
            return
        cap = MAX_IMAGES_BYTES if scope["path"].rstrip("/") == IMAGES_PATH else MAX_JSON_BYTES
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced[:20]) > cap:
            await too_large(cap)(scope, receive, send_with_headers)
            return
        came = 0

        async def receive_up_to_cap() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > cap:
                raise HTTPException(413, _too_large(cap))
            return message

        self.under_way += 1
        try:
            await self.app(scope, receive_up_to_cap, send_with_headers)
        finally:
            self.under_way -= 1


def too_large(cap: int) -> Response:
    """The refusal of a body that is larger than accepted."""
    return problem(413, _too_large(cap))


def _too_large(cap: int) -> str:
    return f"the body is larger than {cap:,} bytes, the most that is read here"


def problem(status: int, message: str) -> JSONResponse:
    """A refusal as a sentence; what no text file can hold is left out of it."""
    text = message.encode("utf-8", "replace").decode()
    return JSONResponse({"message": text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")},
                        status)


def install(app: FastAPI) -> None:
    """Every error becomes a `Problem`."""

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> Response:
        told = [f"{_place(one['loc'])}: {one['msg']}" for one in error.errors()[:MAX_TOLD]]
        more = len(error.errors()) - MAX_TOLD
        return problem(422, "; ".join(told) + (f"; and {more} more" if more > 0 else ""))

    @app.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: StarletteHTTPException) -> Response:
        answer = problem(error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(NotServed)
    async def absent(_: Request, error: NotServed) -> Response:
        return problem(404, str(error))

    @app.exception_handler(DsslBioError)
    async def unfit(_: Request, error: DsslBioError) -> Response:
        return problem(422, str(error))

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> Response:
        logger.error("a request failed", exc_info=error)
        return problem(500, "something went wrong; the server's log tells what")


def _place(parts: tuple[str | int, ...]) -> str:
    """Which field: `molecules.3`, or the whole body."""
    if len(parts) == 1 or parts[1:] == ("body",):
        return f"the {parts[0]}" + (" (JSON is read under the header Content-Type: application/json)"
                                    if parts[0] == "body" else "")
    return ".".join(str(part)[:80] for part in parts[1:])
