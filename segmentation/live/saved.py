"""What live segments have saved, and saving it: all in one transaction, read when a run begins.

Numbers of the model are kept as double precision, which Postgres and Python write out to the last
bit.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import cast

import numpy as np
from psycopg import sql
from psycopg.types.json import Jsonb

from insight.database import Connection
from insight.errors import IntegrityError
from segmentation.live.accounts import (
    CENTS_A_DOLLAR,
    RECENT,
    VALUE_UNITS_A_DOLLAR,
    Accounts,
    CustomerNumbers,
    Floats,
)
from segmentation.live.features import FEATURES, Scaler
from segmentation.live.learning import Choices, Judged, LiveSegments, Model
from segmentation.live.order import Place
from segmentation.live.start_file import PROFILE, StartFile

_CHANGES = """
create temporary table if not exists live_changes (
    customer_id text, customer_number integer, balance bigint, value bigint, days integer,
    movements bigint, frequency double precision, segment text, updated bigint, last bigint,
    moved bigint, recent_at bigint[], recent_cents bigint[]
) on commit delete rows;
"""

# One line of a COPY into it.
_ARRAY = f"\t{{{','.join(['%d'] * RECENT)}}}"
_LINE = "%s" + "\t%d" * 5 + "\t%.4f\t%s" + "\t%d" * 3 + _ARRAY * 2 + "\n"

_MICROSECONDS = "timestamptz 'epoch' + {} * interval '1 microsecond'"
_UPSERT = f"""
insert into segmentation.live_customers as known
    (customer_id, customer_number, balance, customer_lifetime_value, days_from_last_transaction,
     avg_transaction_amt, num_transactions, transaction_freq, segment, last_updated,
     last_transaction_at, amount_moved, recent_at, recent_cents)
select
    customer_id,
    customer_number,
    balance / {CENTS_A_DOLLAR}.0,
    value / {VALUE_UNITS_A_DOLLAR}.0,
    days,
    case when movements = 0 then 0 else moved / {CENTS_A_DOLLAR}.0 / movements end,
    movements,
    frequency,
    segment,
    {_MICROSECONDS.format("updated")},
    {_MICROSECONDS.format("last")},
    moved / {CENTS_A_DOLLAR}.0,
    recent_at,
    recent_cents
from live_changes
on conflict (customer_id) do update set
    balance = excluded.balance,
    customer_lifetime_value = excluded.customer_lifetime_value,
    days_from_last_transaction = excluded.days_from_last_transaction,
    avg_transaction_amt = excluded.avg_transaction_amt,
    num_transactions = excluded.num_transactions,
    transaction_freq = excluded.transaction_freq,
    segment = excluded.segment,
    last_updated = excluded.last_updated,
    last_transaction_at = excluded.last_transaction_at,
    amount_moved = excluded.amount_moved,
    recent_at = excluded.recent_at,
    recent_cents = excluded.recent_cents
"""  # noqa: S608 (constants only)

_NOTE_CHANGES = """
insert into segmentation.live_change_log (revision, customers, customer_ids)
select %s, count(*), coalesce(array_agg(customer_id order by customer_id), '{}') from live_changes
"""
_FORGET_CHANGES = """
delete from segmentation.live_change_log where changed_at < now() - interval '10 minutes'
"""

_CUSTOMERS = f"""
select
    customer_id,
    (balance * {CENTS_A_DOLLAR})::bigint,
    num_transactions,
    (amount_moved * {CENTS_A_DOLLAR})::bigint,
    (customer_lifetime_value * {VALUE_UNITS_A_DOLLAR})::bigint,
    (extract(epoch from last_transaction_at) * 1000000)::bigint,
    recent_at,
    recent_cents,
    segment,
    days_from_last_transaction::bigint,
    transaction_freq::double precision,
    (extract(epoch from last_updated) * 1000000)::bigint,
    customer_number::bigint
from segmentation.live_customers order by customer_number
"""  # noqa: S608 (constants only)

_STATE_COLUMNS = (
    "revision", "load_id", "partition_id", "offset", "duplicates", "events", "mini_batches",
    "refits", "refused_refits", "clock", "turn", "pending", "names", "features", "scaler_mean",
    "scaler_scale", "centroids", "weights", "fitted_distance", "distance", "choices",
    "start_file", "start_sha256",
)  # fmt: skip


@dataclass
class Saved:
    """What the tables hold: the live segments, how far they have read, and what they began with."""

    segments: LiveSegments
    revision: int
    place: Place
    duplicates: int
    start_file: str
    start_sha256: str


def load(connection: Connection) -> Saved | None:
    """Everything that was saved last; None before the first start.

    Raises IntegrityError when customers and state do not belong together.
    """
    row = connection.execute(
        sql.SQL("select {} from segmentation.live_state").format(_names(_STATE_COLUMNS))
    ).fetchone()
    if row is None:
        return None
    state = dict(zip(_STATE_COLUMNS, row, strict=True))
    if tuple(cast(list[str], state["features"])) != FEATURES:
        raise _unlike("was made by a version with other features")
    model = _model(state)
    return Saved(
        segments=_customers(connection, model),
        revision=_whole(state["revision"]),
        place=Place(*(_whole(state[each]) for each in ("load_id", "partition_id", "offset"))),
        duplicates=_whole(state["duplicates"]),
        start_file=str(state["start_file"]),
        start_sha256=str(state["start_sha256"]),
    )


def write_customers(connection: Connection, live: LiveSegments) -> int:
    """Write the rows that changed, in the caller's transaction; how many there were."""
    rows = live.take_changed()
    if not rows:
        return 0
    connection.execute("set local client_min_messages = warning")
    connection.execute(_CHANGES)
    with connection.cursor().copy("copy live_changes from stdin") as copy:
        copy.write("".join(_lines(live, rows)))
    connection.execute(_UPSERT)
    return len(rows)


def note_changes(connection: Connection, revision: int) -> None:
    """Write whose rows the transaction has changed, after `write_customers`, for who follows them.

    Kept for ten minutes: who comes later has to read the table.
    """
    connection.execute("set local client_min_messages = warning")
    connection.execute(_CHANGES)
    connection.execute(_NOTE_CHANGES, (revision,))
    connection.execute(_FORGET_CHANGES)


def write_profiles(connection: Connection, start: StartFile) -> None:
    """Add what the start file says of its customers beside movements."""
    connection.execute(
        sql.SQL(
            """create temporary table live_profiles on commit drop as
               select customer_id, {} from segmentation.live_customers where false"""
        ).format(_names(PROFILE))
    )
    with connection.cursor().copy("copy live_profiles from stdin") as copy:
        for customer, profile in zip(start.customers, start.profile, strict=True):
            copy.write_row((customer, *map(_profile_value, PROFILE, profile)))
    connection.execute(
        sql.SQL(
            """update segmentation.live_customers known set ({names}) = ({values})
               from live_profiles where known.customer_id = live_profiles.customer_id"""
        ).format(names=_names(PROFILE), values=_names(PROFILE, "live_profiles"))
    )


def write_state(connection: Connection, saved: Saved) -> None:
    """Write model, counters and place, in the caller's transaction."""
    values = sql.SQL(", ").join(map(sql.Placeholder, _STATE_COLUMNS))
    connection.execute(
        sql.SQL(
            """insert into segmentation.live_state ({names}) values ({values})
               on conflict (is_only) do update set ({names}) = ({changed})"""
        ).format(
            names=_names(_STATE_COLUMNS),
            values=values,
            changed=_names(_STATE_COLUMNS, "excluded"),
        ),
        _state_values(saved),
    )


def locked_revision(connection: Connection) -> int | None:
    """The revision of the state, which nobody else can change until the transaction ends."""
    row = connection.execute("select revision from segmentation.live_state for update").fetchone()
    return None if row is None else _whole(row[0])


def _lines(live: LiveSegments, rows: Sequence[int]) -> list[str]:
    accounts, judged = live.accounts, live.judged
    chosen = np.array(rows)
    names = live.model.names
    return [
        _LINE % (_escaped(live.numbers.ids[row]), row, balance, value, days, movements, frequency,
                names[cluster], updated, last, moved, *recent_at, *recent_cents)
        for row, balance, value, days, movements, frequency, cluster, updated, last, moved,
            recent_at, recent_cents in zip(
            rows, *(each[chosen].tolist() for each in (
                accounts.balance, accounts.value, judged.days, accounts.movements,
                judged.frequency, judged.cluster, judged.updated, accounts.last, accounts.moved,
                accounts.recent_at, accounts.recent_cents,
            )), strict=True)
    ]  # fmt: skip


def _names(columns: Sequence[str], table: str | None = None) -> sql.Composed:
    parts = [sql.Identifier(*filter(None, (table, each))) for each in columns]
    return sql.SQL(", ").join(parts)


def _escaped(text: str) -> str:
    """Text as COPY reads it."""
    if text.isalnum():
        return text
    for plain, escape in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(plain, escape)
    return text


def _profile_value(name: str, number: Decimal | None) -> object:
    if number is None:
        return None
    if name == "credit_default":
        return bool(number)
    return int(number) if name in ("tenure", "total_products_owned") else number


def _state_values(saved: Saved) -> dict[str, object]:
    model = saved.segments.model
    return {
        "revision": saved.revision,
        "load_id": saved.place.load_id,
        "partition_id": saved.place.partition_id,
        "offset": saved.place.offset,
        "duplicates": saved.duplicates,
        **{
            each: getattr(model, each)
            for each in (
                "events", "mini_batches", "refits", "refused_refits", "clock", "turn",
                "fitted_distance", "distance",
            )
        },
        "pending": list(model.pending),
        "names": list(model.names),
        "features": list(FEATURES),
        "scaler_mean": model.scaler.mean.tolist(),
        "scaler_scale": model.scaler.scale.tolist(),
        "centroids": model.centroids.tolist(),
        "weights": model.weights.tolist(),
        "choices": Jsonb(asdict(model.choices)),
        "start_file": saved.start_file,
        "start_sha256": saved.start_sha256,
    }  # fmt: skip


def _model(state: dict[str, object]) -> Model:
    choices = cast(dict[str, float], state["choices"])
    return Model(
        choices=Choices(
            int(choices["mini_batch"]), float(choices["half_life_rounds"]), int(choices["seed"])
        ),
        scaler=Scaler(_floats(state["scaler_mean"]), _floats(state["scaler_scale"])),
        centroids=_floats(state["centroids"]),
        weights=_floats(state["weights"]),
        names=tuple(cast(list[str], state["names"])),
        clock=_whole(state["clock"]),
        fitted_distance=cast(float, state["fitted_distance"]),
        distance=cast(float, state["distance"]),
        events=_whole(state["events"]),
        mini_batches=_whole(state["mini_batches"]),
        turn=_whole(state["turn"]),
        refits=_whole(state["refits"]),
        refused_refits=_whole(state["refused_refits"]),
        pending=tuple(cast(list[int], state["pending"])),
    )


def _customers(connection: Connection, model: Model) -> LiveSegments:
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(_CUSTOMERS).fetchall()
    if [row[-1] for row in rows] != list(range(len(rows))) or not rows:
        raise _unlike("has lost customers")
    ids, *columns = zip(*rows, strict=True)
    balance, movements, moved, value, last, recent_at, recent_cents = (
        np.array(each, np.int64) for each in columns[:7]
    )
    segments, days, frequency, updated = columns[7:11]
    cluster_of = {name: cluster for cluster, name in enumerate(model.names)}
    judged = Judged(
        np.array([cluster_of[str(each)] for each in segments], np.int64),
        np.array(days, np.int64),
        np.array(frequency, float),
        np.array(updated, np.int64),
    )
    accounts = Accounts(balance, movements, moved, value, last, recent_at, recent_cents)
    return LiveSegments(CustomerNumbers([str(each) for each in ids]), accounts, judged, model)


def _unlike(what: str) -> IntegrityError:
    return IntegrityError(
        what,
        where="schema segmentation, live segments",
        next_step="Run: insight segment-live --start-over",
    )


def _floats(values: object) -> Floats:
    return np.array(values, float)


def _whole(value: object) -> int:
    return int(str(value))
