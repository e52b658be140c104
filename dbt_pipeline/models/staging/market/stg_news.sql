{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='id',
        on_schema_change='fail',
        tags=['streaming'],
        indexes=[{'columns': ['id'], 'unique': true}, {'columns': ['event_timestamp']}],
        pre_hook="{{ begin_stream_read('stg_news', source('streaming', 'news_events_raw')) }}"
    )
}}

with

raw_news as (

    select * from {{ source('streaming', 'news_events_raw') }}

),

{% if reads_new_rows_only() -%}

stream_reads as (

    select * from {{ source('stream_reads', 'stream_reads') }}

),

-- Not materialized, so that the few rows needed are looked up by id.
published as not materialized (

    select * from {{ this }}

),

unread as (

    {{ pending_rows('stg_news', 'raw_news', 'stream_reads') }}

),

unread_ids as (

    select distinct id from unread

),

-- Of all rows of an id the one that landed first counts. The published row stands for every
-- row of its id that was read before. "offset 0" keeps the planner from scanning the whole table.
candidates as (

    select
        id, source, headline, description, category, source_name, url, published_at, word_count,
        has_crypto_mention, event_timestamp, ingestion_timestamp,
        _cluster_id, _topic, _partition, _offset, _load_id
    from unread

    union all

    select standing.*
    from unread_ids
    cross join lateral (
        select
            published.id, published.source, published.headline, published.description,
            published.category, published.source_name, published.url, published.published_at,
            published.word_count, published.has_crypto_mention, published.event_timestamp,
            published.ingestion_timestamp, published._cluster_id, published._topic,
            published._partition, published._offset, published._load_id
        from published
        where published.id = unread_ids.id
        offset 0 -- noqa: AM09
    ) as standing

),

{%- else -%}

candidates as (

    select * from raw_news

),

{%- endif %}

first_landed as (

    select distinct on (id)
        *,
        cardinality(array_remove(regexp_split_to_array(headline, '\s+'), '')) as headline_words
    from candidates
    order by id, {{ landing_order() }}

),

final as (

    select
        -- ids
        id,
        source,
        url,

        -- text
        headline,
        description,
        category,
        source_name,
        {{ categorize_news_source('source_name') }} as source_category,

        -- numbers
        word_count,
        headline_words as headline_word_count,
        {{ categorize_headline_length('headline_words') }} as headline_length_category,

        -- booleans
        has_crypto_mention,
        {{ mentions_crypto("concat_ws(' ', headline, description)") }} as explicit_crypto_mention,

        -- calendar (UTC)
        {{ calendar_parts('event_timestamp') }},

        -- times
        published_at,
        event_timestamp,
        ingestion_timestamp,

        -- loader
        _cluster_id,
        _topic,
        _partition,
        _offset,
        _load_id
    from first_landed

)

select * from final
