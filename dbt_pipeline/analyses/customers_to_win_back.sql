-- Whom to write to: the hundred customers of highest revenue who have not bought for 90 days.
with

segments as (

    select * from {{ ref('fct_customer_segments') }}

)

select
    customer_id,
    segment_name,
    location,
    total_orders,
    total_revenue,
    avg_order_value,
    last_purchase_date,
    days_since_last_purchase
from segments
where activity_status in ('Dormant', 'Inactive') and total_orders > 0
order by total_revenue desc, customer_id asc
