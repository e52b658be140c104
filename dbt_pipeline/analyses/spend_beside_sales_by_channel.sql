-- Does spend in a channel go with sales: its correlation with orders, new customers and revenue of
-- the day, and with revenue of the next. Both can follow the season: this is no proof of an effect.
with

spend as (

    select * from {{ ref('fct_marketing_spend') }}

),

daily as (

    select * from {{ ref('fct_marketing_daily') }}

),

with_next_day as (

    select
        *,
        lead(net_revenue) over (order by date_day) as next_net_revenue
    from daily

)

select
    spend.channel,
    sum(spend.spend_amount) as spend,
    count(*) filter (where spend.spend_amount > 0) as days_with_spend,
    round(cast(corr(spend.spend_amount, days.orders) as numeric), 3) as orders_correlation,
    round(cast(corr(spend.spend_amount, days.new_customers) as numeric), 3)
        as new_customers_correlation,
    round(cast(corr(spend.spend_amount, days.net_revenue) as numeric), 3) as revenue_correlation,
    round(cast(corr(spend.spend_amount, days.next_net_revenue) as numeric), 3)
        as next_day_revenue_correlation
from spend
inner join with_next_day as days on spend.spend_date = days.date_day
group by spend.channel
order by spend.channel
