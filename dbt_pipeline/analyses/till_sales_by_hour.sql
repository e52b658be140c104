-- The best hours at the tills (UTC). The sales file of the web shop has days and no times.
with

sales as (

    select * from {{ ref('fct_pos_transactions') }}

)

select
    extract(hour from sold_at at time zone 'UTC') as hour_of_day,
    count(*) as sales,
    sum(amount) as revenue,
    round(avg(amount), 2) as revenue_per_sale,
    round(sum(amount) / sum(sum(amount)) over (), 4) as revenue_share
from sales
group by extract(hour from sold_at at time zone 'UTC')
order by hour_of_day
