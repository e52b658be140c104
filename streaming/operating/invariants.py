"""The invariants of the streams as SQL: each statement returns the rows that break one.

A statement returns (partition_id, stream, detail). `{raw}` stands for all raw rows (partition_id,
offset, load_id), `{raw_tables}` for their partitions by stream and table, `{raw_names}` for the
names of the raw tables and whether they hold anything.
"""

from typing import LiteralString

_CONSERVATION = """
with stored as (
    select partition_id, count(*) as messages from ({raw}) as raw group by partition_id
),
quarantined as (
    select partition_id, count(*) as messages, count(*) filter (where status = 'replayed') as landed
    from streaming.quarantine group by partition_id
),
books as (
    select
        partition_id, stream, first_offset, next_offset, rows_total, quarantined_total, gap_total,
        coalesce(stored.messages, 0) - coalesce(quarantined.landed, 0) as raw_rows,
        coalesce(quarantined.messages, 0) as quarantine_rows
    from streaming.stream_progress as progress
    full join stored using (partition_id)
    full join quarantined using (partition_id)
)
select partition_id, stream, format(
    '%s rows + %s quarantined + %s gaps, but offsets %s to %s were passed',
    raw_rows, quarantine_rows, coalesce(gap_total, 0), coalesce(first_offset::text, 'none'),
    coalesce((next_offset - 1)::text, 'none'))
from books
where first_offset is null
    or raw_rows + quarantine_rows + gap_total <> next_offset - first_offset
    or raw_rows <> rows_total or quarantine_rows <> quarantined_total
"""

# Totals that agree can hide a row that is missing and another that does not belong.
_LOADS = """
with landed as (
    select partition_id, load_id, count(*) as messages, min("offset") as lowest,
        max("offset") as highest
    from ({raw}) as raw group by partition_id, load_id
),
recorded as (
    select partition_id, load_id, stream, 'load' as kind, rows, lo, hi
    from streaming.load_ledger
    union all
    select partition_id, replay_load_id, min(stream), 'replay', count(*), min("offset"),
        max("offset")
    from streaming.quarantine where status = 'replayed' group by partition_id, replay_load_id
)
select partition_id, stream, format(
    '%s %s has %s rows at offsets %s to %s, the books say %s rows at %s to %s',
    coalesce(kind, 'load'), load_id, coalesce(messages, 0), lowest, highest,
    coalesce(recorded.rows, 0), lo, hi)
from landed full join recorded using (partition_id, load_id)
where lo is null or coalesce(messages, 0) <> recorded.rows or lowest < lo or highest > hi
"""

_REPLAYS = """
select quarantine.partition_id, quarantine.stream,
    format('the row of quarantined message %s, offset %s, load %s, is not there',
        quarantine_id, quarantine."offset", replay_load_id)
from streaming.quarantine
left join ({raw}) as raw
    on raw.partition_id = quarantine.partition_id and raw."offset" = quarantine."offset"
    and raw.load_id = quarantine.replay_load_id
where (status = 'replayed' and raw.load_id is null)
    or (status <> 'replayed' and replay_load_id is not null)
"""

_QUARANTINED = """
with placed as (
    select
        quarantine.partition_id, quarantine.stream, quarantine."offset",
        case when load.hi >= quarantine."offset" then load.load_id end as load_id
    from streaming.quarantine
    left join lateral (
        select load_id, hi from streaming.load_ledger as ledger
        where ledger.partition_id = quarantine.partition_id and lo <= quarantine."offset"
        order by lo desc limit 1
    ) as load on true
),
counted as (
    select partition_id, min(stream) as stream, load_id, count(*) as messages,
        min("offset") as lowest, max("offset") as highest
    from placed group by partition_id, load_id
)
select
    coalesce(ledger.partition_id, counted.partition_id), coalesce(ledger.stream, counted.stream),
    case when counted.load_id is null and counted.messages is not null
        then format('quarantined offsets %s to %s are in no load', lowest, highest)
        else format('load %s put %s messages in quarantine, there are %s of its offsets',
            ledger.load_id, ledger.quarantined, coalesce(messages, 0)) end
from counted full join streaming.load_ledger as ledger using (load_id)
where ledger.load_id is null or coalesce(messages, 0) <> quarantined
"""

_GAPS = """
with offsets as (
    select partition_id, "offset", 'row' as kind from ({raw}) as raw
    union all
    select partition_id, "offset", 'quarantined message' from streaming.quarantine
)
select offsets.partition_id, ledger.stream,
    format('a %s is at offset %s, a gap of load %s', kind, "offset", load_id)
from streaming.load_ledger as ledger
join offsets on offsets.partition_id = ledger.partition_id and gap_offsets @> "offset"
where gap_offsets is not null
"""

_UNIQUENESS = """
select partition_id, null, format('offset %s is stored %s times', "offset", count(*))
from (
    select partition_id, "offset" from ({raw}) as raw
    union all
    select partition_id, "offset" from streaming.quarantine where status <> 'replayed'
) as messages
group by partition_id, "offset"
having count(*) > 1
"""

_IDENTITY = """
with claimed as (
    select distinct partition_id, stream, null as cluster_id, null as topic,
        null::integer as partition, 'rows of ' || table_name as what
    from ({raw_tables}) as raw
    union
    select partition_id, stream, cluster_id, topic, partition, 'the ledger'
    from streaming.load_ledger
    union
    select partition_id, stream, cluster_id, topic, partition, 'the quarantine'
    from streaming.quarantine
)
select partition_id, claimed.stream, format(
    '%s says this is %s, %s[%s] of %s; progress says %s, %s[%s] of %s', what,
    coalesce(claimed.stream, 'no stream'), coalesce(claimed.topic, progress.topic),
    coalesce(claimed.partition, progress.partition),
    coalesce(claimed.cluster_id, progress.cluster_id),
    progress.stream, progress.topic, progress.partition, progress.cluster_id)
from claimed join streaming.stream_progress as progress using (partition_id)
where claimed.stream is distinct from progress.stream
    or claimed.cluster_id <> progress.cluster_id or claimed.partition <> progress.partition
    -- A topic that was made anew left its older partitions as <topic>@<number>.
    or claimed.topic <> split_part(progress.topic, '@', 1)
"""

_CONTIGUITY = """
with ranges as (
    select
        ledger.*,
        coalesce(
            lag(hi) over (partition by partition_id order by lo, load_id) + 1,
            progress.first_offset
        ) as expected
    from streaming.load_ledger as ledger
    left join streaming.stream_progress as progress using (partition_id)
)
select partition_id, stream, format(
    'load %s covers offsets %s to %s, expected from %s, with %s rows, %s quarantined, %s gaps',
    load_id, lo, hi, coalesce(expected::text, 'nothing'), rows, quarantined, gaps)
from ranges
where expected is null or lo <> expected or rows + quarantined + gaps <> hi - lo + 1
    or least(rows, quarantined, gaps) < 0
    or (gap_offsets is null and gaps > 0 and rows + quarantined > 0)
    or (gap_offsets is not null and (
        not gap_offsets <@ int8range(lo, hi, '[]')
        or gaps <> (select coalesce(sum(upper(gap) - lower(gap)), 0) from unnest(gap_offsets) gap)
    ))
"""

_AGREEMENT = """
with newest as (
    select partition_id, max(hi) as hi from streaming.load_ledger group by partition_id
)
select partition_id, stream, format(
    'next offset is %s, but the ledger ends at %s', next_offset, coalesce(hi::text, 'nothing'))
from streaming.stream_progress
left join newest using (partition_id)
where next_offset <> coalesce(hi + 1, first_offset)
"""

_REGISTRY = """
with used as (
    select stream from streaming.stream_progress
    union select stream from streaming.load_ledger
    union select stream from streaming.quarantine
)
select null::integer, stream, 'is not in streaming.streams, though messages of it were loaded'
from used where stream not in (select stream from streaming.streams)
union all
select null, null, format('streaming.%s holds messages of no stream in streaming.streams', name)
from ({raw_names}) as tables
where filled and name not in (select table_name from streaming.streams)
union all
select null, stream, format('its table streaming.%s is gone', table_name)
from streaming.streams where to_regclass(format('streaming.%I', table_name)) is null
"""

# I1 conservation, I2 one place for each message, I3 contiguity, I4 agreement.
CHECKS: tuple[tuple[str, LiteralString], ...] = (
    ("registry", _REGISTRY),
    ("I1", _CONSERVATION),
    ("I1", _LOADS),
    ("I1", _REPLAYS),
    ("I1", _QUARANTINED),
    ("I1", _GAPS),
    ("I2", _UNIQUENESS),
    ("I2", _IDENTITY),
    ("I3", _CONTIGUITY),
    ("I4", _AGREEMENT),
)
