{% macro begin_read(reader, unread) %}
    {{ return(adapter.dispatch('begin_read')(reader, unread)) }}
{% endmacro %}

{#- Runs in the model's transaction, before its query. What the last read marked has been published
    with it; then the coordinates that no read has seen are marked, and the query reads those. -#}
{% macro postgres__begin_read(reader, unread) %}
    {%- set reads = stream_reads() -%}
    {%- if load_relation(reads) is none %}
    {#- Two models make the table at once in the first run; without the lock one of them fails. #}
    select pg_advisory_xact_lock(hashtext('{{ reads }}'));
    create table if not exists {{ reads }} (
        model text,
        partition_id integer,
        offsets int8multirange not null default '{}',
        pending int8multirange not null,
        highest_event_at timestamptz,
        pending_highest_event_at timestamptz,
        read_at timestamptz not null default now(),
        primary key (model, partition_id)
    );
    {%- endif %}
    {#- A second run of the model waits for the first, and marks what is new after it. #}
    select pg_advisory_xact_lock(hashtext('{{ reads }}'), hashtext('{{ reader }}'));
    {%- if not is_incremental() %}
    delete from {{ reads }} where model = '{{ reader }}';
    {%- else %}
    update {{ reads }}
    set
        offsets = offsets + pending,
        pending = '{}',
        highest_event_at = greatest(highest_event_at, pending_highest_event_at),
        pending_highest_event_at = null
    where model = '{{ reader }}' and not isempty(pending);
    {%- endif %}
    {%- if not flags.EMPTY %}
    insert into {{ reads }} (model, partition_id, pending, pending_highest_event_at)
    {{ unread }}
    on conflict (model, partition_id)
    do update set
        pending = excluded.pending,
        pending_highest_event_at = excluded.pending_highest_event_at,
        read_at = excluded.read_at;
    {%- endif %}
{% endmacro %}
