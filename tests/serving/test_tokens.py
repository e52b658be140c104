"""Tokens of an identity provider, checked against keys that a real HTTP server publishes."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from running_api import RunningApi, running_api
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from insight.database import DatabaseEndpoint
from insight.errors import ConfigurationError
from insight.settings import Settings
from serving.access.permissions import Role
from serving.access.tokens import InvalidTokenError, OidcOptions, TokenVerifier
from serving.api.options import ApiOptions

ISSUER, AUDIENCE = "https://login.example", "insight"


@dataclass
class Provider:
    """An identity provider: publishes the public half of its keys, and counts who asks."""

    key: rsa.RSAPrivateKey
    other_key: ec.EllipticCurvePrivateKey
    url: str = ""
    published: dict[str, Any] = field(default_factory=dict)
    asked: int = 0

    def token(
        self, *, key: Any = None, algorithm: str = "RS256", kid: str = "one", **claims: Any
    ) -> str:
        now = int(time.time())
        given = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": now + 300, "role": "analyst",
            **claims,
        }  # fmt: skip
        kept = {name: value for name, value in given.items() if value is not None}
        return jwt.encode(kept, key or self.key, algorithm=algorithm, headers={"kid": kid})


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider(rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1()))
    one = json.loads(RSAAlgorithm.to_jwk(made.key.public_key()))
    two = json.loads(ECAlgorithm.to_jwk(made.other_key.public_key()))
    made.published = {"keys": [{**one, "kid": "one"}, {**two, "kid": "two"}]}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked += 1
            body = json.dumps(made.published).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}/jwks"
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def oidc(provider: Provider) -> OidcOptions:
    return OidcOptions(ISSUER, AUDIENCE, provider.url)


def test_roles_come_from_the_claim(provider: Provider, oidc: OidcOptions) -> None:
    verifier = TokenVerifier(oidc)
    principal = verifier.principal(provider.token())
    assert (principal.actor, principal.roles) == ("oidc:ada", (Role.analyst,))
    assert principal.expires_at is not None
    assert 320 < principal.expires_at.timestamp() - time.time() <= 330
    several = verifier.principal(provider.token(role=["ops", "viewer", "chef", 7]))
    assert set(several.roles) == {Role.ops, Role.viewer}
    by_curve = provider.token(key=provider.other_key, algorithm="ES256", kid="two")
    assert verifier.principal(by_curve).roles == (Role.analyst,)
    deep = TokenVerifier(replace(oidc, role_claim="realm_access.roles"))
    assert deep.principal(provider.token(realm_access={"roles": ["admin"]})).roles == (Role.admin,)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1_000_000_000},
        {"exp": None},
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://login.example.evil"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"role": "root"},
        {"role": None},
        {"role": {"analyst": True}},
        {"nbf": 4_000_000_000},
    ],
)
def test_a_token_that_lacks_something_is_refused(
    provider: Provider, oidc: OidcOptions, claims: dict[str, Any]
) -> None:
    with pytest.raises(InvalidTokenError):
        TokenVerifier(oidc).principal(provider.token(**claims))


def test_a_forged_token_is_refused(provider: Provider, oidc: OidcOptions) -> None:
    verifier = TokenVerifier(oidc)
    public = provider.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head, payload, signature = provider.token().split(".")
    none = jwt.encode(
        {"sub": "ada", "role": "admin"}, None, algorithm="none", headers={"kid": "one"}
    )
    # Signed with the public key, as if it were a shared secret.
    import base64
    import hashlib
    import hmac

    confused_head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').decode().rstrip("=")
    signed = hmac.digest(public, f"{confused_head}.{payload}".encode(), hashlib.sha256)
    confused = f"{confused_head}.{payload}.{base64.urlsafe_b64encode(signed).decode().rstrip('=')}"
    changed = base64.urlsafe_b64encode(b'{"sub":"ada","role":"admin"}').decode().rstrip("=")
    stranger = rsa.generate_private_key(65537, 2048)
    for token in (
        none,
        confused,
        f"{head}.{changed}.{signature}",
        f"{head}.{payload}.",
        provider.token(key=stranger),
        provider.token(kid="three"),
        "a.b.c",
        "..",
        "x" * 20_000,
    ):
        with pytest.raises(InvalidTokenError) as caught:
            verifier.principal(token)
        assert token not in str(caught.value)


def test_unknown_keys_do_not_make_us_ask_the_provider_each_time(
    provider: Provider, oidc: OidcOptions
) -> None:
    verifier, before = TokenVerifier(oidc), provider.asked
    for number in range(20):
        with pytest.raises(InvalidTokenError):
            verifier.principal(provider.token(kid=f"unknown-{number}"))
    verifier.principal(provider.token())
    assert provider.asked == before + 1


@pytest.fixture(scope="module")
def oidc_api(
    warehouse: DatabaseEndpoint, options: ApiOptions, oidc: OidcOptions
) -> Iterator[RunningApi]:
    with running_api(warehouse, replace(options, oidc=oidc)) as running:
        yield running


def test_tokens_open_the_api_as_keys_do(oidc_api: RunningApi, provider: Provider) -> None:
    with oidc_api.client(provider.token(role="viewer")) as client:
        assert client.get("/v1/me").json()["actor"] == "oidc:ada"
        assert client.get("/v1/customers/c-000").status_code == 403
    with oidc_api.client(provider.token()) as client:
        assert client.get("/v1/customers/c-000").status_code == 200
    with oidc_api.client(provider.token(exp=1_000_000_000)) as client:
        answer = client.get("/v1/me")
        assert (answer.status_code, "expired" in answer.json()["detail"]) == (401, True)
    with oidc_api.client(oidc_api.key(Role.viewer)) as client:
        assert client.get("/v1/me").status_code == 200


def test_a_provider_that_is_away_is_told_and_keys_still_work(
    warehouse: DatabaseEndpoint, options: ApiOptions, provider: Provider, oidc: OidcOptions
) -> None:
    away = replace(oidc, jwks_url="http://127.0.0.1:9/jwks")
    with running_api(warehouse, replace(options, oidc=away)) as running:
        with running.client(provider.token()) as client:
            assert client.get("/v1/me").status_code == 503
        with running.client(running.key(Role.viewer)) as client:
            assert client.get("/v1/me").status_code == 200


def test_without_settings_no_token_is_taken(api: RunningApi, provider: Provider) -> None:
    with api.client(provider.token()) as client:
        assert client.get("/v1/me").status_code == 401


def test_half_the_settings_are_refused() -> None:
    assert OidcOptions.from_settings(Settings()) is None
    with pytest.raises(ConfigurationError, match="INSIGHT_OIDC_AUDIENCE"):
        OidcOptions.from_settings(Settings(oidc_issuer=ISSUER))
    with pytest.raises(ConfigurationError, match="https"):
        OidcOptions.from_settings(
            Settings(
                oidc_issuer=ISSUER, oidc_audience="a", oidc_jwks_url="http://login.example/jwks"
            )
        )


def test_a_connection_ends_with_its_token(
    warehouse: DatabaseEndpoint, options: ApiOptions, provider: Provider, oidc: OidcOptions
) -> None:
    with running_api(warehouse, replace(options, oidc=oidc)) as running:
        # 30 s of leeway: this one is good for 10 s more.
        token = provider.token(exp=int(time.time()) - 20)
        headers = {"Authorization": f"Bearer {token}"}
        address = f"ws{running.address.removeprefix('http')}/v1/ws?topics=stream-status"
        with connect(address, additional_headers=headers, open_timeout=20) as connection:
            messages = []
            with suppress(ConnectionClosed):
                messages.extend(json.loads(message) for message in connection)
    assert [message["type"] for message in messages[:2]] == ["topics", "subscribed"]
    assert messages[-1]["kind"] == "expired"
    assert connection.protocol.close_code == 4401
