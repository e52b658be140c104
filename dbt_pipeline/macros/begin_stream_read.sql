{% macro begin_stream_read(reader, raw_table) %}
    {{ return(adapter.dispatch('begin_stream_read')(reader, raw_table)) }}
{% endmacro %}

{#- Runs in the model's transaction, before its query. Marks exactly the coordinates that are in
    the raw table now and were in no earlier read as pending; the query reads those. A row that
    commits later stays unmarked and belongs to the next read, however low its offset is. -#}
{% macro postgres__begin_stream_read(reader, raw_table) %}
    {%- set reads = stream_reads() -%}
    {%- set rebuilt = not is_incremental() -%}
    {%- if load_relation(reads) is none %}
    {#- Two models make the table at once in the first run; without the lock one of them fails. #}
    select pg_advisory_xact_lock(hashtext('{{ reads }}'));
    create table if not exists {{ reads }} (
        model text,
        cluster_id text,
        topic text,
        partition integer,
        offsets int8multirange not null,
        pending int8multirange not null,
        read_at timestamptz not null default now(),
        primary key (model, cluster_id, topic, partition)
    );
    {%- endif %}
    {%- if rebuilt %}
    delete from {{ reads }} where model = '{{ reader }}';
    {%- else %}
    update {{ reads }}
    set offsets = offsets + pending, pending = '{}'
    where model = '{{ reader }}' and not isempty(pending);
    {%- endif %}
    {%- if not flags.EMPTY %}
    insert into {{ reads }} (model, cluster_id, topic, partition, offsets, pending)
    {{ unread_offsets(reader, raw_table, reads) }}
    on conflict (model, cluster_id, topic, partition)
    do update set pending = excluded.pending, read_at = excluded.read_at;
    {%- endif %}
{% endmacro %}
