"""A layer around the web server that holds what Gradio leaves open. Plain ASGI: no Gradio in here."""

from __future__ import annotations

from urllib.parse import urlsplit


class Guard:
    """Around every request: fetch no other host for a visitor, let the page talk to this host only, and let no other
    site's page write in the name of somebody who is logged in here."""

    POLICY = (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; object-src 'none'; "
        "base-uri 'self'; form-action 'self'"
    )

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"].lower()
        # Gradio would fetch the address after file= or proxy= and hand it on.
        if "/file=http" in path or "/proxy=" in path:
            return await _refuse(send)
        # A login's cookie travels along wherever a request was made, for a Space's page lies in a frame.
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and _of_another_site(scope["headers"]):
            return await _refuse(send)

        async def sending(message):
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"content-security-policy", self.POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"same-origin"),
                ]
            await send(message)

        await self.app(scope, receive, sending)


async def _refuse(send) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def _of_another_site(headers) -> bool:
    """Whether another site's page made a browser send this. The browser itself says so, which no script can change;
    an older one names the page's host. A program sends neither, and has nobody's cookies."""
    found = {name.lower(): value.decode("latin-1") for name, value in headers}
    site = found.get(b"sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = found.get(b"origin")
    return origin is not None and urlsplit(origin).netloc.lower() != found.get(b"host", "").lower()
