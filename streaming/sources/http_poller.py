"""One poller for all HTTP APIs: time limits, retries, pauses and what an answer's status means.

What differs from API to API is a `PolledApi`: path, parameters, and the meaning of the body.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import requests
import urllib3
from pydantic import SecretStr

from streaming.sources.bad_answers import BadAnswers
from streaming.sources.interface import (
    Cursor,
    Event,
    Poll,
    SourcePaused,
    SourceStopped,
    TransientFailure,
    lies_ahead,
)
from streaming.sources.request_budget import RequestBudget
from streaming.sources.retries import RetryPolicy, retry_after_seconds

_logger = logging.getLogger(__name__)

# Numbers keep the digits they came with.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode

_USER_AGENT = "marketing-insight-pipeline/0.1"
_RETRIED = {408, 425, 429}
_STATES = {
    400: "stopped_bad_request",
    401: "stopped_unauthorized",
    403: "stopped_forbidden",
    404: "stopped_not_found",
}


class BadBody(Exception):  # noqa: N818 (named by what is wrong)
    """The answer is not what the API promises."""


@dataclass(frozen=True)
class Parsed:
    """Events of one answer and the position after it; `note` tells what it left out."""

    events: list[Event]
    position: Cursor
    note: str | None = None


@dataclass(frozen=True)
class Pages:
    """How one answer goes on: `following(body, pages)` are the parameters of the next page.

    They are None when the last of so many pages was read. `join` makes one body of all.
    """

    following: Callable[[object, int], dict[str, str] | None]
    join: Callable[[list[object]], object]


@dataclass(frozen=True)
class PolledApi:
    """What is particular to one API.

    `parse(body, position, source)` raises BadBody, SourceStopped or TransientFailure when the
    body is an error although the status is 200. `newest(position)` is the time of the newest event
    before a position.
    """

    name: str
    path: str
    key_header: str
    key_required: bool
    parameters: Callable[[Cursor | None], dict[str, str]]
    parse: Callable[[object, Cursor | None, str], Parsed]
    newest: Callable[[Cursor], datetime]
    pages: Pages | None = None


@dataclass(frozen=True)
class _Answer:
    body: object
    etag: str | None


class HttpPoller:
    """A Source that polls one API.

    `wait(seconds)` sleeps and says whether to stop; pass the `wait` of a stop event. The key is
    sent as a header and is in no URL, log, error or kept answer. Every request, also that of a
    retry or a further page, is taken from the `budget`.
    """

    def __init__(
        self,
        api: PolledApi,
        base_url: str,
        source: str,
        *,
        wait: Callable[[float], bool],
        key: SecretStr | None = None,
        policy: RetryPolicy | None = None,
        use_proxies: bool = True,
        bad_answers: BadAnswers | None = None,
        budget: RequestBudget | None = None,
    ):
        self._api = api
        self._url = base_url.rstrip("/") + api.path
        self._source = source
        self._wait = wait
        self._policy = policy or RetryPolicy()
        self._key = key
        self._bad_answers = bad_answers
        self._budget = budget
        # What has come of the newest answer with status 200.
        self._newest = bytearray()
        self._session = requests.Session()
        self._session.trust_env = use_proxies
        self._session.headers["User-Agent"] = _USER_AGENT
        if key is not None:
            self._session.headers[api.key_header] = key.get_secret_value()

    @property
    def name(self) -> str:
        return self._source

    def poll(self, cursor: Cursor | None) -> Poll:
        """One answer, after as many tries as the policy allows.

        Raises TransientFailure when none succeeded, SourcePaused when the API asks for a longer
        pause than we wait here, SourceStopped when a retry cannot help.
        """
        cursor = self._usable(cursor)
        for attempt in range(self._policy.attempts):
            try:
                return self._poll_once(cursor)
            except TransientFailure as failure:
                is_last = attempt == self._policy.attempts - 1
                if is_last or self._wait(self._delay(attempt, failure)):
                    raise
        raise AssertionError("a policy has at least one attempt")

    def _delay(self, attempt: int, failure: TransientFailure) -> float:
        asked = failure.retry_after
        if asked is not None and asked > self._policy.cap:
            raise SourcePaused(f"{failure}; asked to wait {asked:.0f} s", asked) from failure
        longest = min(self._policy.cap, self._policy.base * 2**attempt)
        # A server that says "after 0 seconds" would use up all tries at once.
        if asked is not None and asked > 0:
            return asked + random.uniform(0, min(1.0, longest))
        return random.uniform(0, longest)

    def _usable(self, cursor: Cursor | None) -> Cursor | None:
        """The cursor; None for one from the future, after which nothing would ever be new."""
        if cursor is None:
            return None
        try:
            if not lies_ahead(self._api.newest(cursor["position"])):
                return cursor
        except (KeyError, TypeError, ValueError, OverflowError):
            pass
        _logger.warning("the cursor of %s cannot be right, so it starts anew", self._source)
        return None

    def _poll_once(self, cursor: Cursor | None) -> Poll:
        self._newest = bytearray()
        try:
            return self._poll_answer(cursor)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TransientFailure(self._told("the answer is not JSON")) from error
        except BadBody as error:
            reason = self._told(f"the answer is not what was promised: {error}")
            raise TransientFailure(reason) from error
        except TransientFailure as failure:
            raise TransientFailure(self._told(str(failure)), failure.retry_after) from failure
        except SourceStopped as stopped:
            raise SourceStopped(stopped.state, self._told(str(stopped))) from stopped
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # The text of these errors can quote the whole address, so only their kind is told.
            reason = self._told(f"no answer ({type(error).__name__})")
            raise TransientFailure(reason) from error

    def _told(self, reason: str) -> str:
        """The reason, with the file in which the answer is kept as far as it came."""
        if self._bad_answers is None or not self._newest:
            return reason
        file = self._bad_answers.keep(bytes(self._newest), self._key)
        return reason if file is None else f"{reason}; see {file}"

    def _poll_answer(self, cursor: Cursor | None) -> Poll:
        position = cursor["position"] if cursor else None
        parameters = self._api.parameters(position)
        answer = self._answer(parameters, cursor)
        if answer is None:
            assert cursor is not None
            return Poll([], cursor)
        body = self._whole(answer.body, parameters, cursor)
        parsed = self._api.parse(body, position, self._source)
        return Poll(parsed.events, {"etag": answer.etag, "position": parsed.position}, parsed.note)

    def _answer(self, parameters: dict[str, str], cursor: Cursor | None) -> "_Answer | None":
        """One request; None when nothing has changed since the cursor."""
        headers = {"If-None-Match": cursor["etag"]} if cursor and cursor["etag"] else {}
        if self._budget is not None:
            self._budget.take()
        with self._session.get(
            self._url,
            params=parameters,
            headers=headers,
            timeout=(self._policy.connect, self._policy.read),
            # A redirect to another host would take the key with it.
            allow_redirects=False,
            stream=True,
        ) as response:
            if response.status_code == 304 and cursor:
                return None
            self._check_status(response)
            return _Answer(_decode(self._body(response)), response.headers.get("ETag"))

    def _whole(self, first: object, parameters: dict[str, str], cursor: Cursor | None) -> object:
        """The body with those of its further pages, as far as the API gives them."""
        pages = self._api.pages
        if pages is None:
            return first
        bodies = [first]
        while (following := pages.following(bodies[-1], len(bodies))) is not None:
            try:
                page = self._answer({**parameters, **following}, cursor)
            except SourceStopped as refused:
                # A plan can end at the first page; the parser tells how much is missing.
                _logger.warning("page %d of %s: %s", len(bodies) + 1, self._source, refused)
                break
            if page is None:
                raise TransientFailure("a further page is not there any more")
            bodies.append(page.body)
        return pages.join(bodies)

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        if status in _RETRIED or status >= 500:
            retry_after = retry_after_seconds(response.headers.get("Retry-After"), _now())
            raise TransientFailure(f"status {status}", retry_after)
        raise SourceStopped(_STATES.get(status, "stopped_by_status"), f"status {status}")

    def _body(self, response: requests.Response) -> bytes:
        """The whole body. A timeout of requests starts anew with each byte; this one does not."""
        deadline = time.monotonic() + self._policy.total
        body = self._newest = bytearray()
        while chunk := response.raw.read1(65_536, decode_content=True):
            body += chunk
            if len(body) > self._policy.body_bytes:
                raise TransientFailure(f"the answer is longer than {self._policy.body_bytes} bytes")
            if time.monotonic() > deadline:
                raise TransientFailure(f"the answer took longer than {self._policy.total} s")
        return bytes(body)


def _now() -> datetime:
    return datetime.now(UTC)
