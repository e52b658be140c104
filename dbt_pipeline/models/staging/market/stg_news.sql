{{ streaming_model('stg_news', 'news_events_raw') }}

with

first_landed as (

    {{ first_landed_rows('stg_news', source('streaming', 'news_events_raw')) }}

),

counted as (

    select
        *,
        cardinality(array_remove(regexp_split_to_array(headline, '\s+'), '')) as headline_words
    from first_landed

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
        {{ stream_columns() }}
    from counted

)

select * from final
