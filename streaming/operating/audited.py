"""What a person changes of streams: in one transaction with its row in the audit log.

What they do is in `registry` and `halts`. The package's own contracts, which no person puts into
use, are registered without.
"""

from collections.abc import Sequence

from insight.audit import Author, create_audit_log, record
from insight.database import Connection
from streaming import registry
from streaming.contract import Contract
from streaming.operating import halts
from streaming.registry import Registration


def register(connection: Connection, contract: Contract, document: str, by: Author) -> Registration:
    """`registry.register`, audited when it changes anything."""
    with connection.transaction():
        made = registry.register(connection, contract, document)
        if not made.is_unchanged:
            tell_audit_log(connection, by, "stream.register", made.stream,
                           version=made.version, previous=made.previous)  # fmt: skip
        return made


def pause(connection: Connection, stream: str, by: Author) -> bool:
    """`halts.pause`, audited when it changes anything."""
    with connection.transaction():
        changed = halts.pause(connection, stream)
        if changed:
            tell_audit_log(connection, by, "stream.pause", stream)
        return changed


def resume(connection: Connection, stream: str, by: Author) -> bool:
    """`halts.resume`, audited when it changes anything."""
    with connection.transaction():
        changed = halts.resume(connection, stream)
        if changed:
            tell_audit_log(connection, by, "stream.resume", stream)
        return changed


def accept_losses(
    connection: Connection, stream: str, losses: Sequence[halts.Loss], by: Author
) -> int:
    """`halts.accept_losses`, audited with what was given up of each partition."""
    with connection.transaction():
        lost = halts.accept_losses(connection, stream, losses)
        gaps = [
            {"partition": each.key.partition, "first": each.first, "end": each.end}
            for each in losses
        ]
        tell_audit_log(connection, by, "stream.accept-gap", stream, messages=lost, gaps=gaps)
        return lost


def tell_audit_log(
    connection: Connection, by: Author, action: str, stream: str, **detail: object
) -> None:
    """Append to the audit log, within the caller's transaction, what was done to a stream."""
    # A warehouse that has never been asked for a key or a segment has no audit log yet.
    create_audit_log(connection)
    record(connection, by.did(action, f"stream:{stream}", detail))
