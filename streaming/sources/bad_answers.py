"""Answers of an API that could not be used, kept where a person can look at them."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

_logger = logging.getLogger(__name__)

_LONGEST_BYTES = 64 * 1024
_KEPT_FILES = 20


class BadAnswers:
    """The newest bad answers of one stream, one file each."""

    def __init__(self, directory: Path):
        self._directory = directory

    def keep(self, body: bytes, secret: SecretStr | None) -> Path | None:
        """Write the beginning of an answer, without the secret; returns the file.

        None when it cannot be written: that is no reason to stop polling.
        """
        if secret is not None and secret.get_secret_value():
            # Before the cut, which could leave a half of it.
            body = body.replace(secret.get_secret_value().encode(), b"[key]")
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        file = self._directory / f"{moment}.txt"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body[:_LONGEST_BYTES])
            self._forget_old()
        except OSError as error:
            _logger.warning("a bad answer cannot be kept in %s: %s", self._directory, error)
            return None
        return file

    def _forget_old(self) -> None:
        # Names are times, so their order is that of the answers.
        for old in sorted(self._directory.glob("*.txt"))[:-_KEPT_FILES]:
            old.unlink(missing_ok=True)
