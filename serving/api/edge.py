"""What surrounds every request: an id, limits, ETag, gzip, metrics, and no error that escapes.

Written straight to ASGI: a second framework of middleware would cost more than most answers.
"""

import asyncio
import gzip
import hashlib
import logging
import re
import secrets
import time
from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.meter import ApiMeter
from serving.api.options import ApiOptions
from serving.api.problems import MEDIA_TYPE, Problem, problem_body
from serving.api.shortcut import HEADERS, SegmentShortcut

_logger = logging.getLogger(__name__)

_MOST_URL_BYTES = 8 * 1024
_MOST_HEADERS, _MOST_HEADER_BYTES = 64, 24 * 1024
_LEAST_GZIP_BYTES = 1024
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_COMPRESSED = ("application/json", MEDIA_TYPE, "text/plain")


class Edge:
    """Wraps the application; the server talks to this."""

    def __init__(
        self,
        app: ASGIApp,
        options: ApiOptions,
        meter: ApiMeter,
        shortcut: SegmentShortcut | None = None,
    ):
        self._app = app
        self._shortcut = shortcut
        self._options = options
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = _Headers(scope["headers"])
        scope.setdefault("state", {})["request_id"] = _request_id(headers)
        answer = _Answer(scope, headers, send)
        self._meter.in_flight += 1
        try:
            await self._answer(scope, receive, headers, answer)
        finally:
            self._meter.in_flight -= 1
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            self._meter.answered(answer.method, route, answer.status, seconds)

    async def _answer(
        self, scope: Scope, receive: Receive, headers: "_Headers", answer: "_Answer"
    ) -> None:
        if problem := self._refusal(scope, headers):
            self._meter.refused(problem.kind)
            await answer.send_problem(problem)
            return
        try:
            if self._shortcut is not None:
                body = await self._shortcut.body(scope, headers.get(b"authorization"))
                if body is not None:
                    answer.take_whole(body, HEADERS)
                    await answer.finish()
                    return
            if scope["method"] == "HEAD":
                scope["method"] = "GET"
            await self._app(scope, self._limited(receive), answer.take)
        except asyncio.CancelledError:
            raise
        # The last place that can turn a defect into an answer; the log gets its traceback.
        except Exception:
            _logger.exception(
                "request %s: %s %s", scope["state"]["request_id"], answer.method, scope["path"]
            )
            if not answer.is_complete:
                await answer.send_problem(_DEFECT)
        finally:
            # The server looks at it too: an answer to HEAD must not have a body.
            scope["method"] = answer.method
        await answer.finish()

    def _refusal(self, scope: Scope, headers: "_Headers") -> Problem | None:
        if self._meter.in_flight > self._options.most_in_flight:
            return Problem(
                503, "overloaded", "Too many requests at once.", headers={"Retry-After": "1"}
            )
        url_bytes = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if url_bytes > _MOST_URL_BYTES:
            return Problem(414, "url-too-long", f"An address has at most {_MOST_URL_BYTES} bytes.")
        if headers.count > _MOST_HEADERS or headers.bytes > _MOST_HEADER_BYTES:
            detail = f"A request has at most {_MOST_HEADERS} headers of {_MOST_HEADER_BYTES} bytes."
            return Problem(431, "headers-too-large", detail)
        length = headers.get(b"content-length")
        if length.isdigit() and int(length) > self._options.body_bytes:
            return self._too_large()
        return None

    def _too_large(self) -> Problem:
        detail = f"A body has at most {self._options.body_bytes} bytes."
        return Problem(413, "body-too-large", detail, headers={"Connection": "close"})

    def _limited(self, receive: Receive) -> Receive:
        """Counts a body whose length was not told, and does not wait for one that never comes."""
        read = 0
        is_whole = False

        async def limited() -> Message:
            nonlocal read, is_whole
            if is_whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), self._options.body_seconds)
            except TimeoutError:
                raise HTTPException(
                    408, "The body did not come in time.", {"Connection": "close"}
                ) from None
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                is_whole = not message.get("more_body", False)
                if read > self._options.body_bytes:
                    raise HTTPException(413, self._too_large().detail, {"Connection": "close"})
            return message

        return limited


_DEFECT = Problem(
    500,
    "internal-error",
    "Something went wrong here. The server's log has it under this request id.",
)


class _Headers:
    """The request's headers, read once."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]):
        self._values: dict[bytes, bytes] = {}
        self.count = self.bytes = 0
        for name, value in raw:
            self.count += 1
            self.bytes += len(name) + len(value)
            known = self._values.get(name)
            self._values[name] = value if known is None else known + b", " + value

    def get(self, name: bytes) -> bytes:
        return self._values.get(name, b"")


class _Answer:
    """Collects the application's answer, then sends it whole: tagged, compressed or not at all."""

    def __init__(self, scope: Scope, headers: _Headers, send: Send):
        self._scope = scope
        self._headers = headers
        self._send = send
        self._start: Message | None = None
        self._body: list[bytes] = []
        self.is_complete = False
        self.method: str = scope["method"]
        self.status = 500

    async def take(self, message: Message) -> None:
        """The application's `send`."""
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._body.append(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)

    def take_whole(self, body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """An answer of status 200 that is there already."""
        self._start = {"type": "http.response.start", "status": 200, "headers": headers}
        self._body = [body]
        self.is_complete = True

    async def send_problem(self, problem: Problem) -> None:
        headers = [(b"content-type", MEDIA_TYPE.encode())]
        headers += [(name.lower().encode(), v.encode()) for name, v in problem.headers.items()]
        self._start = {
            "type": "http.response.start", "status": problem.status, "headers": headers
        }  # fmt: skip
        self._body = [problem_body(self._scope, problem)]
        self.is_complete = True
        await self.finish()
        self.is_complete = False

    async def finish(self) -> None:
        """Send what was collected, once."""
        if self._start is None or not self.is_complete:
            return
        start, body = self._start, b"".join(self._body)
        headers = dict(start["headers"])
        self.status = start["status"]
        headers[b"x-request-id"] = self._scope["state"]["request_id"].encode()
        headers[b"x-content-type-options"] = b"nosniff"
        headers.setdefault(b"cache-control", b"private, no-cache")
        headers[b"vary"] = b"Accept-Encoding, Authorization"
        if self.status == 200 and self.method in ("GET", "HEAD"):
            body = self._tagged(headers, body)
        if self.status != 304:
            body = self._compressed(headers, body)
            headers[b"content-length"] = str(len(body)).encode()
        start["status"] = self.status
        start["headers"] = list(headers.items())
        await self._send(start)
        if self.method == "HEAD":
            body = b""
        await self._send({"type": "http.response.body", "body": body})

    def _tagged(self, headers: dict[bytes, bytes], body: bytes) -> bytes:
        # Weak, because the same answer goes out compressed and plain.
        tag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        headers[b"etag"] = tag.encode()
        wanted = self._headers.get(b"if-none-match").decode("latin-1")
        if not wanted:
            return body
        tags = {each.strip().removeprefix("W/") for each in wanted.split(",")}
        if "*" in tags or tag.removeprefix("W/") in tags:
            self.status = 304
            for name in (b"content-length", b"content-type"):
                headers.pop(name, None)
            return b""
        return body

    def _compressed(self, headers: dict[bytes, bytes], body: bytes) -> bytes:
        if len(body) < _LEAST_GZIP_BYTES:
            return body
        media_type = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0]
        if media_type not in _COMPRESSED:
            return body
        if not _takes_gzip(self._headers.get(b"accept-encoding").decode("latin-1")):
            return body
        headers[b"content-encoding"] = b"gzip"
        return gzip.compress(body, compresslevel=5, mtime=0)


def _takes_gzip(accepted: str) -> bool:
    for each in accepted.lower().split(","):
        coding, _, weight = each.strip().partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _request_id(headers: _Headers) -> str:
    """The caller's own when it is harmless, so that logs of both sides meet."""
    given = headers.get(b"x-request-id")
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
