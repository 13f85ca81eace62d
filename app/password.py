"""One password in front of everything a server answers: pages, pictures, sockets and the interface for programs.

The browser asks for it (HTTP Basic, any user name) and is given a cookie that opens the socket, because not every
browser sends the password along with one. It keeps colleagues out, not an attacker on the wire: beyond this machine
put a proxy with TLS in front.
"""

import asyncio
import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from dssl_bio.app.asgi import Message, Receive, Scope, Send

PASSWORD_VARIABLE = "DSSL_BIO_PASSWORD_FILE"
COOKIE = "dssl_bio_pass"
WRONG_PASSWORD_S = 1.0
"""A wrong password costs this long, so that guessing takes ages."""
ASKS = b'Basic realm="DSSL-Bio", charset="UTF-8"'


def password_of_server() -> str:
    """The password that `dssl-bio serve` was given in a file; empty when there is none."""
    path = os.environ.get(PASSWORD_VARIABLE, "")
    return Path(path).read_text(encoding="utf-8").strip() if path else ""


class Password:
    """Lets through who knows the password, or holds the cookie of somebody who did."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], password: str,
                 wrong_password_s: float = WRONG_PASSWORD_S):
        self.app, self.password, self.wrong_password_s = app, password, wrong_password_s
        self.token = secrets.token_urlsafe(32)  # new at every start: a cookie of yesterday opens nothing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if not self.password or scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self._has_cookie(headers.get(b"cookie", b"")):
            await self.app(scope, receive, send)
            return
        given = headers.get(b"authorization", b"")
        if self._is_right(given):
            await self.app(scope, receive, self._with_cookie(send))
            return
        if given:
            await asyncio.sleep(self.wrong_password_s)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "http.response.start", "status": 401,
                    "headers": [(b"www-authenticate", ASKS), (b"content-type", b"application/json"),
                                (b"cache-control", b"no-store")]})
        await send({"type": "http.response.body", "body": b'{"message":"This server asks for a password."}'})

    def _is_right(self, given: bytes) -> bool:
        kind, _, coded = given.partition(b" ")
        if kind.lower() != b"basic":
            return False
        try:
            _, _, password = base64.b64decode(coded.strip(), validate=True).partition(b":")
        except binascii.Error:
            return False
        return hmac.compare_digest(password, self.password.encode())

    def _has_cookie(self, header: bytes) -> bool:
        try:
            found = SimpleCookie(header.decode("latin-1")).get(COOKIE)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self.token.encode())

    def _with_cookie(self, send: Send) -> Send:
        """Hands out the cookie with an answer; pages of other sites can neither read nor send it."""
        cookie = f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Strict".encode()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"set-cookie", cookie)]
            await send(message)

        return sending
