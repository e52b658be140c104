-- Every day anew from what happened until its end, by the times of the events themselves.
with

days as (

    select * from {{ ref('fct_market_daily') }}

),

prices as not materialized (

    select * from {{ ref('stg_bitcoin') }}

),

news as not materialized (

    select * from {{ ref('stg_news') }}

),

sale_lines as (

    select * from {{ ref('fct_sales') }}

),

pos_sales as not materialized (

    select * from {{ ref('stg_transactions') }}

),

pos_refunds as not materialized (

    select * from {{ ref('stg_refunds') }}

),

online_by_day as (

    select
        transaction_date,
        sum(total_amount) as revenue
    from sale_lines
    group by transaction_date

),

spans as (

    select
        *,
        cast(date_day as timestamp) at time zone 'UTC' as day_started_at,
        cast(date_day + 1 as timestamp) at time zone 'UTC' as day_ended_at
    from days

),

recomputed as (

    select
        spans.*,
        known.event_timestamp as known_at,
        known.price as known_price,
        before.price as price_before,
        articles.article_count as articles_of_day,
        coalesce(online_by_day.revenue, 0) as online_revenue_of_day,
        sold.revenue as sold_of_day,
        refunded.amount as refunded_of_day
    from spans
    left join online_by_day on spans.date_day = online_by_day.transaction_date
    left join lateral (
        select
            prices.event_timestamp,
            prices.price
        from prices
        where
            prices.source = spans.source
            and prices.coin = spans.coin
            and prices.currency = spans.currency
            and prices.event_timestamp < spans.day_ended_at
        order by prices.event_timestamp desc, prices.id desc
        limit 1
    ) as known on true
    left join lateral (
        select prices.price
        from prices
        where
            prices.source = spans.source
            and prices.coin = spans.coin
            and prices.currency = spans.currency
            and prices.event_timestamp < spans.day_started_at
        order by prices.event_timestamp desc, prices.id desc
        limit 1
    ) as before on true
    cross join
        lateral (
            select count(*) as article_count
            from news
            where
                news.event_timestamp >= spans.day_started_at
                and news.event_timestamp < spans.day_ended_at
        ) as articles
    cross join
        lateral (
            select coalesce(sum(pos_sales.amount), 0) as revenue
            from pos_sales
            where
                pos_sales.event_timestamp >= spans.day_started_at
                and pos_sales.event_timestamp < spans.day_ended_at
        ) as sold
    cross join lateral (
        select coalesce(sum(pos_refunds.refund_amount), 0) as amount
        from pos_refunds
        where
            pos_refunds.event_timestamp >= spans.day_started_at
            and pos_refunds.event_timestamp < spans.day_ended_at
    ) as refunded

)

select *
from recomputed
where
    as_of_price_at is distinct from known_at
    or as_of_price is distinct from cast(known_price as numeric(28, 8))
    or previous_close_price is distinct from cast(price_before as numeric(28, 8))
    or article_count <> articles_of_day
    or online_revenue <> online_revenue_of_day
    or pos_gross_revenue <> sold_of_day
    or pos_net_revenue <> sold_of_day - refunded_of_day
