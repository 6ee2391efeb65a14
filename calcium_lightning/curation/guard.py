"""Who may ask: nobody but the page that was opened here.

The server listens on the loopback interface, yet any page that the user visits can send requests there, and
by a name of its own that resolves to 127.0.0.1 even read the answers (DNS rebinding). So every address begins
with a random token, the host must be the one that was printed, and what changes something must come from the
page itself. The browser is started with an address that is good once: other users of the machine see the
command lines of all processes. Knows requests, not what they are for.
"""

from __future__ import annotations

import hmac
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: nothing from elsewhere, nothing inline, nothing evaluated; pictures that scripts make are blobs
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
WRONG_TOKEN = (
    "the address lacks its token, was good once, or is of an earlier start; open the one that was printed in "
    "the terminal last"
)
#: bytes of a request's body at most
LARGEST_BODY = 1 << 20


def new_token() -> str:
    """A token that nobody guesses: 256 bits, as text for an address."""
    return secrets.token_urlsafe(32)


class Guard:
    """ASGI middleware that lets only the page's own requests through.

    Parameters
    ----------
    app : ASGI application
        Sees paths without the token.
    token : str
        What every path must begin with.
    hosts : set of str
        What the ``Host`` header may be, with the port.
    ticket : str, optional
        A path that leads to the token, the first time that it is asked for.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: set[str], ticket: str | None = None) -> None:
        self.app, self.token, self.hosts, self.ticket = app, token, hosts, ticket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        refusal: Response | None = self._refusal(scope, headers)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if refusal is not None:
            await refusal(scope, receive, marked)
            return
        inner = dict(scope)
        inner["path"] = scope["path"][len(self.token) + 1 :] or "/"
        await self.app(inner, receive, marked)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if host not in self.hosts:
            return PlainTextResponse("wrong host", 421)
        first = scope["path"].split("/")[1] if "/" in scope["path"] else ""
        if self.ticket is not None and hmac.compare_digest(first.encode(), self.ticket.encode()):
            self.ticket = None
            return RedirectResponse(f"/{self.token}/", 303)
        if not hmac.compare_digest(first.encode(), self.token.encode()):
            return PlainTextResponse(WRONG_TOKEN, 403)
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return PlainTextResponse("from another page", 403)
        site = headers.get("sec-fetch-site")
        writes = scope["method"] not in ("GET", "HEAD")
        if site in ("cross-site", "same-site") and (writes or headers.get("sec-fetch-mode") != "navigate"):
            return PlainTextResponse("from another page", 403)
        if writes:
            if headers.get("content-type", "").split(";")[0] != "application/json":
                return PlainTextResponse("JSON is wanted", 415)
            if (
                not headers.get("content-length", "").isdigit()
                or int(headers["content-length"]) > LARGEST_BODY
            ):
                return PlainTextResponse("too much", 413)
        return None
