-- One first order a customer, on the day of the earliest; none of the unknown member.
with

orders as (

    select * from {{ ref('fct_orders') }}

)

select
    customer_id,
    count(*) filter (where is_first_order) as first_orders
from orders
group by customer_id
having
    count(*) filter (where is_first_order) <> case when customer_id = '-1' then 0 else 1 end
    or min(order_date) filter (where is_first_order) > min(order_date)
