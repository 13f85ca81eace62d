"""The web server: Streamlit's own ASGI application, behind headers that keep a page's requests on this machine.

`dssl-bio serve` has Streamlit run this file; `main.py` is what a session runs.
"""

import logging
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit
from dssl_bio.app.asgi import Receive, Scope, Send, with_headers
from dssl_bio.app.password import Password, password_of_server
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from streamlit.starlette import App

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent
PAGE_NAMES = sorted(path.stem for path in (HERE / "app_pages").glob("*.py") if path.stem != "__init__")
START = "molecule_to_phenotypes"
"""The first page lives at / alone; its name, typed or guessed, leads there."""
PAGE = re.compile(rf"^/(?:{'|'.join(PAGE_NAMES)})?/?$")

HEADERS = {
    # 'unsafe-inline' and 'unsafe-eval': Streamlit styles inline, and Plotly compiles its WebGL programs at run time.
    # What matters here is that no address but our own can be reached: neither asked for code nor told anything.
    "Content-Security-Policy": "; ".join([
        "default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:", "font-src 'self' data:",
        "connect-src 'self' data: blob:", "worker-src 'self' blob:", "frame-src 'self' blob: data:",
        "object-src 'none'", "base-uri 'self'", "form-action 'self'", "frame-ancestors 'self'"]),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

EDITOR_STYLES = ("/gwt/chrome/mosaic.css", "/gwt/chrome/chrome.css", "/jsa.css")
"""The molecule editor asks for these and does without them; our page in their stead would be a console error."""

# Opened at /model_card, Streamlit's page would look for its server at /model_card/_stcore first and log two 404s.
ADDRESS = ("<script>window.__streamlit = {BACKEND_BASE_URL: window.location.origin + window.location.pathname.replace("
           f"/\\/(?:{'|'.join(PAGE_NAMES)})\\/?$/, '/')}};</script>")

# The molecule editor's package loads a second copy from a public address when the bundled one is still starting, unless
# a script of that name is in the page. This one is: it has no type that a browser fetches or runs.
NO_SECOND_EDITOR = '<script type="text/plain" src="jsme-editor"></script>'


def index_page() -> str:
    """Streamlit's index.html that knows its server's address and our name."""
    text = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    return text.replace("<title>Streamlit</title>", "<title>DSSL-Bio</title>").replace(
        "<head>", f"<head>{ADDRESS}{NO_SECOND_EDITOR}", 1)


class OwnPages:
    """Gives every page our index, and every answer our headers."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]):
        self.app, self.index = app, index_page()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        answer: Callable[[Scope, Receive, Send], Awaitable[None]] = self.app
        if scope["method"] in ("GET", "HEAD"):
            if scope["path"].rstrip("/") == f"/{START}":
                question = scope.get("query_string", b"").decode("latin-1")
                answer = RedirectResponse("./" + (f"?{question}" if question else ""))
            elif PAGE.match(scope["path"]):
                answer = HTMLResponse(self.index, headers={"Cache-Control": "no-cache"})
            elif scope["path"].endswith(EDITOR_STYLES):
                answer = Response("", media_type="text/css")
        await answer(scope, receive, with_headers(send, HEADERS))


async def picture(request: Request) -> Response:
    """Cells of a well; what draws them is imported with the first of them."""
    from dssl_bio.app.pictures import answered

    return await answered(request)


@asynccontextmanager
async def warmed(_: App) -> AsyncIterator[None]:
    """Loads in the background what the first query needs, while the first page is already shown."""
    from dssl_bio.app.resources import warm

    threading.Thread(target=warm, name="warm", daemon=True).start()
    yield


def told(error: Exception) -> bool:
    """What we did not foresee: a sentence on the page, the traceback in the server's log."""
    logger.error("a page failed", exc_info=error)
    streamlit.error("Something went wrong on this page; the server's log tells what. The other pages still work.")
    return True


app = App(HERE / "main.py", routes=[Route("/pictures/{bundle}/{number}.png", picture)], lifespan=warmed,
          on_script_error=told,
          middleware=[Middleware(Password, password=password_of_server()), Middleware(OwnPages)])
