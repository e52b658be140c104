with

hours as (

    select * from {{ ref('fct_bitcoin_prices') }}

),

news as (

    select * from {{ ref('fct_news_daily') }}

),

online_sales as (

    select * from {{ ref('fct_sales_daily') }}

),

pos_sales as (

    select * from {{ ref('fct_pos_net_revenue_daily') }}

),

calendar as (

    select * from {{ ref('dim_datetime') }}

),

prices_by_day as (

    select
        source,
        coin,
        currency,
        date_day,
        (array_agg(open_price order by hour_started_at))[1] as open_price,
        max(high_price) as high_price,
        min(low_price) as low_price,
        (array_agg(close_price order by hour_started_at desc))[1] as close_price,
        max(last_price_at) as last_price_at,
        sum(price_count) as price_count,
        stddev_samp(price_return) as hourly_volatility
    from hours
    group by source, coin, currency, date_day

),

articles_by_day as (

    select
        date_day,
        sum(article_count) as article_count,
        sum(crypto_article_count) as crypto_article_count
    from news
    group by date_day

),

-- Refunds on their own day: those of the sale's day would bring later events into it.
pos_by_day as (

    select
        date_day,
        sum(sale_count) as sale_count,
        sum(gross_revenue) as gross_revenue,
        sum(refund_amount) as refund_amount
    from pos_sales
    group by date_day

),

last_days as (

    select max(date_day) as last_day from prices_by_day

    union all

    select max(date_day) as last_day from articles_by_day

    union all

    select max(date_day) as last_day from online_sales

    union all

    select max(date_day) as last_day from pos_by_day

),

bounds as (

    select max(last_day) as last_day from last_days

),

-- A series begins with its first price. Were it to begin with the first sale, a coin whose prices
-- begin today would add rows to every day of the past.
series as (

    select
        source,
        coin,
        currency,
        min(date_day) as first_day
    from prices_by_day
    group by source, coin, currency

),

days as (

    select
        series.source,
        series.coin,
        series.currency,
        calendar.date_day
    from series
    cross join bounds
    inner join calendar on calendar.date_day between series.first_day and bounds.last_day

),

-- A day without a price has the number of the last one with a price before it.
numbered as (

    select
        days.*,
        prices_by_day.open_price,
        prices_by_day.high_price,
        prices_by_day.low_price,
        prices_by_day.close_price,
        prices_by_day.last_price_at,
        coalesce(prices_by_day.price_count, 0) as price_count,
        prices_by_day.hourly_volatility,
        count(prices_by_day.close_price) over (
            partition by days.source, days.coin, days.currency order by days.date_day
        ) as priced_day_number
    from days
    left join prices_by_day
        on
            days.source = prices_by_day.source
            and days.coin = prices_by_day.coin
            and days.currency = prices_by_day.currency
            and days.date_day = prices_by_day.date_day

),

as_known as (

    select
        *,
        max(close_price) over priced_day as as_of_price,
        max(last_price_at) over priced_day as as_of_price_at
    from numbered
    window priced_day as (partition by source, coin, currency, priced_day_number)

),

in_sequence as (

    select
        *,
        cast(date_day + 1 as timestamp) at time zone 'UTC' as day_ended_at,
        lag(as_of_price) over (
            partition by source, coin, currency order by date_day
        ) as previous_close_price
    from as_known

),

final as (

    select
        -- ids
        in_sequence.source,
        in_sequence.coin,
        in_sequence.currency,

        -- times
        in_sequence.date_day,
        in_sequence.as_of_price_at,

        -- prices
        cast(in_sequence.open_price as numeric(28, 8)) as open_price,
        cast(in_sequence.high_price as numeric(28, 8)) as high_price,
        cast(in_sequence.low_price as numeric(28, 8)) as low_price,
        cast(in_sequence.close_price as numeric(28, 8)) as close_price,
        cast(in_sequence.as_of_price as numeric(28, 8)) as as_of_price,
        cast(
            extract(epoch from in_sequence.day_ended_at - in_sequence.as_of_price_at) / 3600
            as numeric(14, 4)
        ) as as_of_price_age_hours,
        cast(in_sequence.previous_close_price as numeric(28, 8)) as previous_close_price,
        cast(
            in_sequence.close_price / nullif(in_sequence.previous_close_price, 0) - 1
            as numeric(38, 10)
        ) as day_return,
        cast(in_sequence.hourly_volatility as numeric(38, 10)) as hourly_volatility,
        cast(in_sequence.price_count as integer) as price_count,

        -- news
        cast(coalesce(articles_by_day.article_count, 0) as integer) as article_count,
        cast(coalesce(articles_by_day.crypto_article_count, 0) as integer)
            as crypto_article_count,

        -- sales
        cast(coalesce(online_sales.orders, 0) as integer) as online_order_count,
        cast(coalesce(online_sales.total_amount, 0) as numeric(22, 2)) as online_revenue,
        cast(coalesce(pos_by_day.sale_count, 0) as integer) as pos_sale_count,
        cast(coalesce(pos_by_day.gross_revenue, 0) as numeric(22, 2)) as pos_gross_revenue,
        cast(coalesce(pos_by_day.refund_amount, 0) as numeric(22, 2)) as pos_refund_amount,
        cast(
            coalesce(pos_by_day.gross_revenue - pos_by_day.refund_amount, 0) as numeric(22, 2)
        ) as pos_net_revenue
    from in_sequence
    left join articles_by_day on in_sequence.date_day = articles_by_day.date_day
    left join online_sales on in_sequence.date_day = online_sales.date_day
    left join pos_by_day on in_sequence.date_day = pos_by_day.date_day

)

select * from final
