"""An OpenID Connect provider on loopback that lets everybody in as the same person: for tests alone."""

import base64
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

CLIENT, SECRET = "dssl-bio", "client secret"


def application(issuer: str, email: str) -> Starlette:
    """Discovery, keys, authorisation with PKCE (S256), token; codes are used once."""
    from joserfc import jwt
    from joserfc.jwk import RSAKey

    key, asked = RSAKey.generate_key(2048, parameters={"kid": "1"}), {}

    def discovery(_: Request) -> JSONResponse:
        return JSONResponse({
            "issuer": issuer, "authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/keys", "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"], "code_challenge_methods_supported": ["S256"]})

    def authorize(request: Request) -> RedirectResponse:
        question = request.query_params
        assert question["client_id"] == CLIENT and question["code_challenge_method"] == "S256"
        code = str(len(asked))
        asked[code] = question["nonce"], question["code_challenge"]
        return RedirectResponse(f"{question['redirect_uri']}?" + urlencode({"code": code, "state": question["state"]}))

    async def token(request: Request) -> JSONResponse:
        form = await request.form()
        nonce, challenge = asked.pop(str(form["code"]))
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge
        now = int(time.time())
        claims = {"iss": issuer, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 600, "nonce": nonce,
                  "email": email, "email_verified": True, "name": "Ann"}
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "expires_in": 600,
                             "id_token": jwt.encode({"alg": "RS256", "kid": "1"}, claims, key)})

    def keys(_: Request) -> JSONResponse:
        return JSONResponse({"keys": [key.as_dict(private=False)]})

    return Starlette(routes=[Route("/.well-known/openid-configuration", discovery), Route("/authorize", authorize),
                             Route("/token", token, methods=["POST"]), Route("/keys", keys)])


@contextmanager
def running(port: int, email: str) -> Iterator[str]:
    """The provider's address while it answers."""
    issuer = f"http://127.0.0.1:{port}"
    server = uvicorn.Server(uvicorn.Config(application(issuer, email), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield issuer
    finally:
        server.should_exit = True
        thread.join(10)
