"""The demo page and its files. Only what a page needs is served: authored characters, with their secrets, are not."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_FOLDERS = frozenset({"js", "css", "vendor", "assets"})
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


def content_policy(folder: Path) -> str:
    """Content-Security-Policy that allows our own files and exactly the inline scripts (import maps) of our pages."""
    hashes = sorted(
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for page in folder.glob("*.html")
        for script in _INLINE_SCRIPT.findall(page.read_bytes())
    )
    scripts = " ".join(["'self'", "blob:", *dict.fromkeys(hashes)])
    return (
        f"default-src 'self'; script-src {scripts}; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' https: ws: wss: blob: data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


class Page(StaticFiles):
    """Files of the demo folder: top-level HTML and the folders of scripts, styles, vendored code and assets."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True)
        self._policy = content_policy(folder)

    async def get_response(self, path: str, scope: Scope) -> Response:
        parts = Path(path).parts
        allowed = len(parts) <= 1 and (not parts or path in (".", "favicon.ico") or path.endswith(".html"))
        if not (allowed or (len(parts) > 1 and parts[0] in _FOLDERS)):
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        response.headers["Content-Security-Policy"] = self._policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-cache"
        return response
