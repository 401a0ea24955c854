"""A layer around the web server that holds what Gradio leaves open. Plain ASGI: no Gradio in here."""

from __future__ import annotations


class Guard:
    """Around every request: fetch no other host for a visitor, and let the page talk to this host only."""

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
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
            return await send({"type": "http.response.body", "body": b""})

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
