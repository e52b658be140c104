-- The best days of the week in the web shop: means over all days of the range, also empty ones.
with

daily as (

    select * from {{ ref('fct_sales_daily') }}

),

calendar as (

    select * from {{ ref('dim_datetime') }}

)

select
    calendar.day_of_week,
    calendar.day_name,
    count(*) as days,
    round(avg(daily.orders), 1) as orders_per_day,
    round(avg(daily.net_sales_amount), 2) as net_revenue_per_day,
    round(sum(daily.total_amount) / nullif(sum(daily.orders), 0), 2) as avg_order_value
from daily
inner join calendar on daily.date_day = calendar.date_day
group by calendar.day_of_week, calendar.day_name
order by calendar.day_of_week
