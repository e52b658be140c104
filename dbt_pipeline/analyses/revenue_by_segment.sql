-- Customers, revenue and days since the last purchase of each segment.
with

segments as (

    select * from {{ ref('fct_customer_segments') }}

)

select
    segment_id,
    segment_name,
    count(*) as customers,
    sum(total_revenue) as revenue,
    round(avg(total_revenue), 2) as revenue_per_customer,
    round(avg(days_since_last_purchase)) as days_since_last_purchase
from segments
group by segment_id, segment_name
order by segment_id
