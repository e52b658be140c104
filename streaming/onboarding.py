"""How far a stream has come, from its contract to rows in models: one view, one row a stream."""

from psycopg.rows import dict_row

from insight.database import Connection

# dbt keeps in staging.stream_reads which model has read which partition; before its first run of a
# streaming model there is no such table, which a plain view could not say.
ONBOARDING_VIEW = """
create or replace function streaming.models_reading(of_stream text) returns text[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
    if to_regclass('staging.stream_reads') is null then
        return '{}';
    end if;
    return (
        select coalesce(array_agg(distinct reads.model order by reads.model), '{}')
        from staging.stream_reads as reads
        join streaming.stream_progress as progress using (partition_id)
        where progress.stream = of_stream
    );
end $$;

create or replace view streaming.stream_onboarding as
with progress as (
    select
        stream,
        min(first_landed.committed_at) as first_message_at,
        count(distinct topic) > 0 as is_topic_made
    from streaming.stream_progress
    left join lateral (
        select committed_at
        from streaming.load_ledger as ledger
        where
            ledger.partition_id = stream_progress.partition_id
            and ledger.rows + ledger.quarantined > 0
        order by lo
        limit 1
    ) as first_landed on true
    group by stream
),
found as (
    select
        status.stream,
        status.contract_version,
        status.topic,
        status.table_name,
        status.registered_at,
        coalesce(progress.is_topic_made, false) as is_topic_made,
        progress.first_message_at,
        status.rows_total,
        status.quarantined_total,
        status.quarantined_open,
        status.last_commit_at,
        streaming.models_reading(status.stream) as models,
        status.state,
        status.state_reason,
        coalesce(status.is_fresh, false) and status.state in ('running', 'caught_up') as is_flowing
    from streaming.stream_status as status
    left join progress using (stream)
)
select
    *,
    cardinality(models) > 0 as is_modelled,
    case
        when state like 'halted%' or state = 'paused' then state
        when not is_topic_made then 'waits for a loader, which makes the topic'
        when first_message_at is null then 'waits for the first message'
        when rows_total = 0 then 'waits for a message that keeps the contract'
        when not is_flowing then 'waits for messages: none for longer than the contract allows'
        when cardinality(models) = 0 then 'flows; no dbt model reads it yet'
        else 'flows'
    end as now
from found
"""

COLUMNS = (
    "stream", "contract_version", "topic", "table_name", "registered_at", "is_topic_made",
    "first_message_at", "rows_total", "quarantined_total", "quarantined_open", "last_commit_at",
    "is_modelled", "models", "is_flowing", "state", "state_reason", "now",
)  # fmt: skip


def onboarding_of(connection: Connection, stream: str) -> dict[str, object] | None:
    """The row of a stream; None when it is not registered."""
    query = f"select {', '.join(COLUMNS)} from streaming.stream_onboarding where stream = %s"  # noqa: S608
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), (stream,)).fetchone()
