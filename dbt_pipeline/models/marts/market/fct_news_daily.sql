with

news as (

    select * from {{ ref('stg_news') }}

),

final as (

    select
        source,
        source_category,
        event_date as date_day,
        cast(count(*) as integer) as article_count,
        cast(count(*) filter (where explicit_crypto_mention) as integer) as crypto_article_count,
        cast(sum(word_count) as bigint) as word_count,
        max(ingestion_timestamp) as last_ingested_at
    from news
    group by source, source_category, event_date

)

select * from final
