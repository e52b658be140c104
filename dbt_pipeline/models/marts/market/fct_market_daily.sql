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

bounds as (

    select
        greatest(
            (select max(date_day) from prices_by_day),
            (select max(date_day) from articles_by_day),
            (select max(date_day) from online_sales),
            (select max(date_day) from pos_by_day)
        ) as last_day

),

-- A price is the last one known until the next. A series begins with its first price: were it to
-- begin with the first sale, a coin whose prices begin today would add rows to all days before.
spans as (

    select
        prices_by_day.*,
        lag(prices_by_day.close_price) over each_series as close_price_before,
        lead(prices_by_day.date_day, 1, bounds.last_day + 1) over each_series
            as next_priced_day
    from prices_by_day
    cross join bounds
    window each_series as (
        partition by prices_by_day.source, prices_by_day.coin, prices_by_day.currency
        order by prices_by_day.date_day
    )

),

days as (

    select
        spans.*,
        day.date_day as known_on,
        day.date_day = spans.date_day as is_priced,
        cast(day.date_day + 1 as timestamp) at time zone 'UTC' as day_ended_at
    from spans
    cross join
        lateral (
            select calendar.date_day
            from calendar
            where calendar.date_day >= spans.date_day and calendar.date_day < spans.next_priced_day
            order by calendar.date_day
            -- Keeps the planner from comparing each day of a series with each.
            offset 0
        ) as day

),

final as (

    select
        -- ids
        days.source,
        days.coin,
        days.currency,

        -- times
        days.known_on as date_day,
        days.last_price_at as as_of_price_at,

        -- prices
        cast(case when days.is_priced then days.open_price end as numeric(28, 8)) as open_price,
        cast(case when days.is_priced then days.high_price end as numeric(28, 8)) as high_price,
        cast(case when days.is_priced then days.low_price end as numeric(28, 8)) as low_price,
        cast(case when days.is_priced then days.close_price end as numeric(28, 8)) as close_price,
        cast(days.close_price as numeric(28, 8)) as as_of_price,
        cast(
            extract(epoch from days.day_ended_at - days.last_price_at) / 3600 as numeric(14, 4)
        ) as as_of_price_age_hours,
        cast(
            case when days.is_priced then days.close_price_before else days.close_price end
            as numeric(28, 8)
        ) as previous_close_price,
        cast(
            case
                when days.is_priced
                    then days.close_price / nullif(days.close_price_before, 0) - 1
            end as numeric(38, 10)
        ) as day_return,
        cast(
            case when days.is_priced then days.hourly_volatility end as numeric(38, 10)
        ) as hourly_volatility,
        cast(case when days.is_priced then days.price_count else 0 end as integer) as price_count,

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
    from days
    left join articles_by_day on days.known_on = articles_by_day.date_day
    left join online_sales on days.known_on = online_sales.date_day
    left join pos_by_day on days.known_on = pos_by_day.date_day

)

select * from final
