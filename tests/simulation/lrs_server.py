"""A learning record store on a local port that tests may break: it keeps statements by id, as xAPI 1.0.3 asks."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class FakeLrs:
    """`status()` says what it answers now: 200 for "works", 0 for "closes the connection"."""

    def __init__(self, status: Callable[[], int] = lambda: 200, clock: Callable[[], float] | None = None) -> None:
        self.statements: dict[str, dict[str, Any]] = {}
        self.documents: dict[str, Any] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.refuse: Callable[[dict[str, Any]], bool] = lambda _: False
        self.token_fetches = 0
        lrs = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                return None

            def date_time_string(self, timestamp: float | None = None) -> str:
                return formatdate(clock(), usegmt=True) if clock else super().date_time_string(timestamp)

            def _reply(self, code: int, body: Any = None) -> None:
                data = b"" if body is None else json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(data)

            def _broken(self) -> bool:
                code = status()
                if code == 200:
                    return False
                if code == 0:
                    self.close_connection = True
                    self.connection.close()
                else:
                    self._reply(code, {"message": "broken"})
                return True

            def _serve(self, method: str) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                where = urlsplit(self.path)
                lrs.requests.append((method, where.path, dict(self.headers)))
                if self._broken():
                    return
                if where.path.endswith("/fetch"):
                    lrs.token_fetches += 1
                    first = lrs.token_fetches == 1
                    body = {"auth-token": "dG9rZW4="} if first else {"error-code": "1", "error-text": "used already"}
                    self._reply(200, body)
                elif self.headers.get("X-Experience-API-Version") is None:
                    self._reply(400, {"message": "no version"})
                elif where.path.endswith("/about"):
                    self._reply(200, {"version": ["1.0.3"]})
                elif where.path.endswith("/statements") and method == "POST":
                    self._take(json.loads(raw))
                elif method == "GET":
                    key = where.path.rsplit("/", 1)[-1] + ":" + next(iter(parse_qs(where.query).get("stateId", ["-"])))
                    found = lrs.documents.get(key)
                    self._reply(404 if found is None else 200, found)
                else:
                    self._reply(405)

            def _take(self, given: Any) -> None:
                new = [{"id": str(uuid.uuid4()), **one} for one in (given if isinstance(given, list) else [given])]
                if any(lrs.refuse(one) for one in new):
                    self._reply(400, {"message": "malformed statement"})
                elif any(one["id"] in lrs.statements and lrs.statements[one["id"]] != one for one in new):
                    self._reply(409, {"message": "conflict"})
                else:
                    lrs.statements.update({one["id"]: one for one in new})
                    self._reply(200, [one["id"] for one in new])

            def do_GET(self) -> None:
                self._serve("GET")

            def do_POST(self) -> None:
                self._serve("POST")

            def do_PUT(self) -> None:
                self._serve("PUT")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/xapi"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
