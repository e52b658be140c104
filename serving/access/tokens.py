"""Bearer tokens of an identity provider (OpenID Connect), checked against its published keys."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import jwt
from jwt import PyJWK, PyJWKSet

from insight.errors import ConfigurationError, ServiceError
from insight.settings import Settings
from serving.access.permissions import Principal, Role

_logger = logging.getLogger(__name__)

# Signatures by a private key only: with a shared one whoever can check a token can also make one.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_LEEWAY_SECONDS = 30
_LAST_SECOND = 253_000_000_000.0
_KEPT_SECONDS = 300.0
# A token can name any key: an unknown one must not make us ask the provider each time.
_SECONDS_BETWEEN_FETCHES = 10.0
_LONGEST_TOKEN = 16_384
_ON_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class OidcOptions:
    """Which tokens are taken, and where in them the roles stand (`realm_access.roles`)."""

    issuer: str
    audience: str
    jwks_url: str
    role_claim: str = "role"

    @classmethod
    def from_settings(cls, settings: Settings) -> "OidcOptions | None":
        """None without the three settings; ConfigurationError with some of them."""
        given = {
            "INSIGHT_OIDC_ISSUER": settings.oidc_issuer,
            "INSIGHT_OIDC_AUDIENCE": settings.oidc_audience,
            "INSIGHT_OIDC_JWKS_URL": settings.oidc_jwks_url,
        }
        if not any(given.values()):
            return None
        for name, value in given.items():
            if not value:
                raise ConfigurationError("is missing: tokens need all three", where=name)
        assert settings.oidc_issuer
        assert settings.oidc_audience
        assert settings.oidc_jwks_url
        address = urlsplit(settings.oidc_jwks_url)
        is_local = address.scheme == "http" and address.hostname in _ON_THIS_MACHINE
        if address.scheme != "https" and not is_local:
            raise ConfigurationError(
                "must begin with https://: who can change the answer can make tokens",
                where="INSIGHT_OIDC_JWKS_URL",
            )
        return cls(
            settings.oidc_issuer,
            settings.oidc_audience,
            settings.oidc_jwks_url,
            settings.oidc_role_claim,
        )


class InvalidTokenError(Exception):
    """The token is refused; the sentence says why and quotes nothing of it."""


class TokenVerifier:
    """Checks tokens. Several threads may use it at once; a fetch of keys blocks for 3 s at most."""

    def __init__(self, options: OidcOptions):
        self._options = options
        self._client = jwt.PyJWKClient(options.jwks_url, cache_keys=False, timeout=3)
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = -_KEPT_SECONDS
        self._lock = threading.Lock()

    def has_keys_for(self, token: str) -> bool:
        """Whether `principal` will answer without a request to the provider."""
        try:
            key_id = str(jwt.get_unverified_header(token).get("kid", ""))
        except jwt.PyJWTError:
            return True
        return key_id in self._keys and time.monotonic() - self._fetched_at < _KEPT_SECONDS

    def principal(self, token: str) -> Principal:
        """Who the token is for.

        Raises InvalidTokenError when it is not to be trusted or carries none of our roles, and
        ServiceError when the provider's keys cannot be had.
        """
        if len(token) > _LONGEST_TOKEN:
            raise InvalidTokenError("the token is too long")
        claims = self._claims(token)
        subject = str(claims["sub"])
        if not subject.isprintable() or not 1 <= len(subject) <= 255:
            raise InvalidTokenError(
                "the token's subject is not printable text of 1 to 255 characters"
            )
        roles = _roles(claims, self._options.role_claim)
        if not roles:
            raise InvalidTokenError(
                f"the token's claim {self._options.role_claim} names none of "
                + ", ".join(role.value for role in Role)
            )
        # pyjwt has checked that it is a number; it may lie beyond the calendar.
        seconds = min(float(str(claims["exp"])), _LAST_SECOND)
        until = datetime.fromtimestamp(seconds, UTC) + timedelta(seconds=_LEEWAY_SECONDS)
        return Principal.of(f"oidc:{subject}", roles, expires_at=until)

    def _claims(self, token: str) -> Mapping[str, object]:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in _ALGORITHMS:
                raise InvalidTokenError("the token is signed by an algorithm that is not taken")
            key = self._key(str(header.get("kid", "")))
            claims: Mapping[str, object] = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._options.audience,
                issuer=self._options.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise InvalidTokenError("the token has expired") from error
        except jwt.PyJWTError as error:
            raise InvalidTokenError("the token is not valid here") from error
        return claims

    def _key(self, key_id: str) -> PyJWK:
        with self._lock:
            age = time.monotonic() - self._fetched_at
            if age > _KEPT_SECONDS or (key_id not in self._keys and age > _SECONDS_BETWEEN_FETCHES):
                self._fetch()
            if key_id not in self._keys:
                raise InvalidTokenError(
                    "the token is signed by a key that the provider does not list"
                )
            return self._keys[key_id]

    def _fetch(self) -> None:
        try:
            found: PyJWKSet = self._client.get_jwk_set(refresh=True)
        except jwt.PyJWTError as error:
            _logger.warning("the keys of the identity provider cannot be had: %s", error)
            raise ServiceError(
                "the identity provider does not give its keys",
                next_step="Check that it runs and that INSIGHT_OIDC_JWKS_URL is right",
            ) from error
        self._keys = {str(key.key_id): key for key in found.keys if key.key_id}
        self._fetched_at = time.monotonic()


def _roles(claims: Mapping[str, object], path: str) -> list[Role]:
    value: object = claims
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    words = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [Role(word) for word in words if isinstance(word, str) and word in set(Role)]
