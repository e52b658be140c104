{{
    config(
        materialized='incremental',
        incremental_strategy='rebuild_groups',
        unique_key='window_start',
        incremental_predicates=['transaction_count > 0'],
        on_schema_change='fail',
        pre_hook="{{ begin_model_read('fct_product_metrics_minute', ['stg_transactions']) }}"
    )
}}

with

sales as not materialized (

    select * from {{ ref('stg_transactions') }}

),

{% if reads_new_rows_only() -%}
changed as (

    {{ changed_rows('fct_product_metrics_minute', 'sales') }}

),

windows as (

    select distinct {{ minute_of('place.event_at') }} as window_start
    from changed
    cross join {{ event_times('changed') }} as place

),

members as (

    select
        windows.window_start,
        sale.*
    from windows
    left join {{ events_during('sales', 'windows', 'window_start', '1 minute') }} as sale on true

),

{% else -%}
members as (

    select
        {{ minute_of('event_timestamp') }} as window_start,
        *
    from sales

),

{% endif -%}
judged as (

    select
        *,
        _watermark > window_start + interval '1 minute' + {{ allowed_lateness() }} as is_late
    from members

),

final as (

    select
        window_start,
        window_start + interval '1 minute' as window_end,
        product_id,
        cast(coalesce(sum(amount), 0) as numeric(14, 2)) as total_revenue,
        cast(count(transaction_id) as integer) as transaction_count,
        cast(coalesce(sum(amount) filter (where is_late), 0) as numeric(14, 2)) as late_revenue,
        cast(count(*) filter (where is_late) as integer) as late_transaction_count,
        max(ingestion_timestamp) as last_ingested_at
    from judged
    group by window_start, product_id

)

select * from final
