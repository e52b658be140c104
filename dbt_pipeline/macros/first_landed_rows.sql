{% macro first_landed_rows(
    reader, raw_table, key='id', event_time='event_timestamp', others={}
) -%}
    {{ return(adapter.dispatch('first_landed_rows')(reader, raw_table, key, event_time, others)) }}
{%- endmacro %}

{#- The published row stands for every row of its id that was read before: only its coordinates and
    what it keeps of the arrivals are used, and its raw row is looked up, so that no list of columns
    has to be kept here. Not materialized are the relations that are used twice or only looked up
    in: Postgres would copy them whole first. -#}
{% macro postgres__first_landed_rows(reader, raw_table, key, event_time, others) -%}
    {%- set before -%}
    max({{ event_time }}) over (
            partition by _partition_id order by _load_id, _offset
            rows between unbounded preceding and 1 preceding
        )
    {%- endset -%}
    with

    raw_rows as not materialized (

        select * from {{ raw_table }}

    ),
    {%- if reads_new_rows_only() %}

    stream_reads as (

        select * from {{ source('stream_reads', 'stream_reads') }}

    ),

    published as not materialized (

        select * from {{ this }}

    ),

    pending as (

        {{ pending_rows(reader, 'raw_rows', 'stream_reads') }}

    ),

    {#- Inside a partition later rows have a later load_id: the highest event time before this read
        stands before all rows of this read. #}
    unread as (

        select
            pending.*,
            greatest(reads.highest_event_at, {{ before }}) as _watermark
        from pending
        inner join stream_reads as reads
            on reads.model = '{{ reader }}' and pending._partition_id = reads.partition_id

    ),

    unread_keys as (

        select distinct {{ key }} from unread

    ),

    arrivals as (

        select
            *,
            cast(null as tstzmultirange) as known_event_times
            {%- for column in others %},
            cast(null as jsonb) as known_{{ column }}
            {%- endfor %}
        from unread

        union all

        select
            standing.*,
            published_row._watermark,
            published_row._other_event_times as known_event_times
            {%- for column, published_as in others.items() %},
            published_row.{{ published_as }} as known_{{ column }}
            {%- endfor %}
        from unread_keys
        cross join {{ lookup('published', 'unread_keys', [key]) }} as published_row
        cross join {{ lookup('raw_rows', 'published_row') }} as standing

    ),
    {%- else %}

    arrivals as (

        select
            *,
            {{ before }} as _watermark,
            cast(null as tstzmultirange) as known_event_times
        from raw_rows

    ),
    {%- endif %}

    seen as (

        select {{ key }}, {{ event_time }} as seen_at from arrivals
        {%- if reads_new_rows_only() %}

        union all

        select arrivals.{{ key }}, lower(known.moment) as seen_at
        from arrivals
        cross join lateral unnest(arrivals.known_event_times) as known (moment)

        {#- Also when the raw row that stood for the id is gone. #}
        union all

        select unread_keys.{{ key }}, published_row.event_timestamp as seen_at
        from unread_keys
        cross join {{ lookup('published', 'unread_keys', [key]) }} as published_row
        {%- endif %}

    ),

    contradicted as (

        select {{ key }}, range_agg(tstzrange(seen_at, seen_at, '[]')) as event_times
        from seen
        group by {{ key }}
        having min(seen_at) < max(seen_at)

    ),

    {%- for column in others %}

    {#- As JSON, not as an array: dbt's unit tests cannot name the type of an array. #}
    others_of_{{ column }} as (

        select {{ key }}, jsonb_agg(distinct said) as told
        from (
            select {{ key }}, {{ column }} as said from arrivals
            {%- if reads_new_rows_only() %}

            union all

            select arrivals.{{ key }}, known.said
            from arrivals
            cross join lateral jsonb_array_elements_text(arrivals.known_{{ column }}) as known (said)

            {#- Also when the raw row that stood for the id is gone. #}
            union all

            select unread_keys.{{ key }}, published_row.{{ column }} as said
            from unread_keys
            cross join {{ lookup('published', 'unread_keys', [key]) }} as published_row
            {%- endif %}
        ) as sayings
        group by {{ key }}
        having count(distinct said) > 1

    ),
    {%- endfor %}

    first_landed as (

        select distinct on ({{ key }}) *
        from arrivals
        order by {{ key }}, {{ landing_order() }}

    )

    select
        first_landed.*,
        contradicted.event_times - tstzmultirange(
            tstzrange(first_landed.{{ event_time }}, first_landed.{{ event_time }}, '[]')
        ) as _other_event_times
        {%- for column, published_as in others.items() %},
        others_of_{{ column }}.told - first_landed.{{ column }} as {{ published_as }}
        {%- endfor %}
    from first_landed
    left join contradicted on first_landed.{{ key }} = contradicted.{{ key }}
    {%- for column in others %}
    left join others_of_{{ column }}
        on first_landed.{{ key }} = others_of_{{ column }}.{{ key }}
    {%- endfor %}
{%- endmacro %}
