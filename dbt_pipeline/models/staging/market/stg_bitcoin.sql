{{
    streaming_model(
        'stg_bitcoin',
        'bitcoin_prices_raw',
        indexes=[
            {'columns': ['source', 'coin', 'currency', 'event_timestamp', 'id'], 'unique': true}
        ]
    )
}}

with

first_landed as (

    {{ first_landed_rows('stg_bitcoin', source('streaming', 'bitcoin_prices_raw')) }}

),

in_series as (

    {{
        with_neighbours(
            'first_landed',
            source('streaming', 'bitcoin_prices_raw'),
            ['source', 'coin', 'currency']
        )
    }}

),

prices as (

    select
        *,
        lag(price) over (
            partition by source, coin, currency order by event_timestamp, id
        ) as previous_price
    from in_series

),

final as (

    select
        -- ids
        id,
        source,
        coin,
        currency,

        -- numbers
        price,
        change_24h,
        {{ categorize_volatility('change_24h') }} as volatility_category,
        previous_price,
        price - previous_price as price_change,

        -- calendar (UTC)
        {{ calendar_parts('event_timestamp') }},

        -- times
        event_timestamp,
        {{ stream_columns() }}
    from prices
    -- A price that only lends its value to the one after it stays as it is published.
    where is_rebuilt

)

select * from final
