"""Who types the commands, as the audit log has it."""

import os
import pwd

from insight.audit import Author


def me() -> Author:
    """The account as the operating system knows it, by its number where it has no name."""
    try:
        account = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        account = str(os.getuid())
    return Author(f"cli:{account}")
