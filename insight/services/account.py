"""Which account an embedded Postgres runs as, and where its files can lie.

Postgres refuses to run as root. As root the server runs as the account `postgres`, or `nobody`
where there is none. Such an account often cannot enter the folder of the project (for instance
below /root); then its files lie in a folder of their own, and no existing folder's mode is changed.
"""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from insight.errors import ServiceError

# Any account can enter it and it survives a restart; who owns our folder in it is checked.
_FALLBACK_PARENT = Path("/var/tmp")  # noqa: S108


@dataclass(frozen=True)
class Account:
    """An account to run a server as; `None` for both ids means the one we run as."""

    uid: int | None = None
    gid: int | None = None

    def popen_options(self) -> dict[str, object]:
        """Keyword arguments for `subprocess.Popen`."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        if self.uid is None:
            return True
        command = ["/bin/sh", "-c", 'cd -- "$0"', str(folder)]
        options = self.popen_options()
        outcome = subprocess.run(command, cwd="/", stderr=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
        return bool(outcome.returncode == 0)


def server_account() -> Account:
    """The account for a server that refuses to run as root."""
    if os.geteuid() != 0:
        return Account()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise ServiceError(
        "Postgres does not run as root, and there is no account postgres or nobody",
        next_step="Run as an ordinary user, or give DATABASE_URL",
    )


def fallback_folder(home: Path) -> Path:
    """The place for server files when the account cannot enter `home`; the same at each start."""
    digest = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]
    return _FALLBACK_PARENT / f"insight-{digest}"


def create_fallback_folder(home: Path) -> Path:
    """Create that folder. Raises ServiceError when somebody else made it first."""
    folder = fallback_folder(home)
    folder.mkdir(mode=0o755, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ServiceError(
            "is not a folder of ours", where=str(folder), next_step="Remove it, then try again"
        )
    return folder


def place_data(home: Path, name: str, account: Account) -> Path:
    """The folder for a server's data: below `home`, or the fallback when it cannot go there.

    The folder itself is not created. Its parent is, and the account can enter it.
    """
    if account.can_enter(home):
        return home / name
    return create_fallback_folder(home) / name


def place_programs(folder: Path, libraries: Path, home: Path, account: Account) -> Path:
    """A copy of `folder` and `libraries` (siblings' relation kept) that the account can run.

    Returns `folder` itself when the account can enter it already.
    """
    if account.can_enter(folder):
        return folder
    target = create_fallback_folder(home) / "programs"
    copy = target / folder.parent.name / folder.name
    if not copy.exists():
        shutil.copytree(libraries, target / libraries.name, dirs_exist_ok=True)
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copytree(folder, unfinished, symlinks=True)
        unfinished.rename(copy)
    return copy
