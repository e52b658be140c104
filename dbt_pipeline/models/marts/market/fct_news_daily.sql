{{
    config(
        materialized='incremental',
        incremental_strategy='rebuild_groups',
        unique_key='date_day',
        incremental_predicates=['article_count > 0'],
        on_schema_change='fail',
        pre_hook="{{ begin_model_read('fct_news_daily', ['stg_news']) }}"
    )
}}

with

news as not materialized (

    select * from {{ ref('stg_news') }}

),

{% if reads_new_rows_only() -%}
changed as (

    {{ changed_rows('fct_news_daily', 'news') }}

),

days as (

    select distinct date_trunc('day', place.event_at, 'UTC') as day_started_at
    from changed
    cross join {{ event_times('changed') }} as place

),

articles as (

    select
        days.day_started_at,
        article.*
    from days
    left join {{ events_during('news', 'days', 'day_started_at', '1 day') }} as article on true

),

{% else -%}
articles as (

    select
        date_trunc('day', event_timestamp, 'UTC') as day_started_at,
        *
    from news

),

{% endif -%}
final as (

    select
        source,
        source_category,
        category,
        cast(day_started_at at time zone 'UTC' as date) as date_day,
        cast(count(id) as integer) as article_count,
        cast(count(*) filter (where explicit_crypto_mention) as integer) as crypto_article_count,
        cast(count(*) filter (where has_crypto_mention) as integer) as flagged_article_count,
        cast(coalesce(sum(word_count), 0) as bigint) as word_count,
        max(ingestion_timestamp) as last_ingested_at
    from articles
    group by source, source_category, category, day_started_at

)

select * from final
