{%- set streams = {
    'account-transactions': 'stg_account_transactions',
    'bitcoin-prices': 'stg_bitcoin',
    'news-events': 'stg_news',
    'refunds': 'stg_refunds',
    'transactions': 'stg_transactions',
} -%}
{{
    config(
        materialized='incremental',
        incremental_strategy='rebuild_groups',
        unique_key=['stream', 'date_day'],
        incremental_predicates=['event_count > 0'],
        on_schema_change='fail',
        pre_hook="{{ begin_model_read('fct_stream_lateness', " ~ (streams.values() | list) ~ ") }}"
    )
}}

with

{% for model in streams.values() -%}
{{ model }} as not materialized (

    select * from {{ ref(model) }}

),

{% endfor -%}
arrivals as not materialized (

    {% for stream, model in streams.items() -%}
    {{ 'union all' if not loop.first }}

    select
        '{{ stream }}' as stream,
        event_timestamp,
        _watermark,
        _other_event_times,
        _partition_id,
        _offset
    from {{ model }}

    {% endfor %}
),

{% if reads_new_rows_only() -%}
changed as (

    {{ changed_rows('fct_stream_lateness', 'arrivals') }}

),

days as (

    select distinct
        changed.stream,
        date_trunc('day', place.event_at, 'UTC') as day_started_at
    from changed
    cross join {{ event_times('changed') }} as place

),

events as (

    select
        days.stream,
        days.day_started_at,
        event.event_timestamp,
        event._watermark
    from days
    left join
        {{ events_during('arrivals', 'days', 'day_started_at', '1 day', ['stream']) }} as event
        on true

),

{% else -%}
events as (

    select
        stream,
        date_trunc('day', event_timestamp, 'UTC') as day_started_at,
        event_timestamp,
        _watermark
    from arrivals

),

{% endif -%}
measured as (

    select
        stream,
        cast(day_started_at at time zone 'UTC' as date) as date_day,
        event_timestamp,
        cast(extract(epoch from greatest(
            _watermark - event_timestamp, interval '0'
        )) as numeric(14, 3)) as lateness_seconds,
        _watermark - event_timestamp > {{ allowed_lateness() }} as is_late
    from events

),

final as (

    select
        stream,
        date_day,
        cast(count(event_timestamp) as integer) as event_count,
        cast(count(*) filter (where lateness_seconds > 0) as integer) as out_of_order_count,
        cast(count(*) filter (where is_late) as integer) as late_event_count,
        cast(
            percentile_disc(0.5) within group (order by lateness_seconds) as numeric(14, 3)
        ) as p50_lateness_seconds,
        cast(
            percentile_disc(0.95) within group (order by lateness_seconds) as numeric(14, 3)
        ) as p95_lateness_seconds,
        cast(
            percentile_disc(0.99) within group (order by lateness_seconds) as numeric(14, 3)
        ) as p99_lateness_seconds,
        cast(max(lateness_seconds) as numeric(14, 3)) as max_lateness_seconds
    from measured
    group by stream, date_day

)

select * from final
