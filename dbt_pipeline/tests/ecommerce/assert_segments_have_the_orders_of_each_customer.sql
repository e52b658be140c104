-- Each customer has the revenue and the orders of the customer's own sale lines.
with

all_sales as (

    select * from {{ ref('fct_sales') }}

),

sales as (

    select * from all_sales
    where {{ is_before_as_of('transaction_date') }}

),

segments as (

    select * from {{ ref('fct_customer_segments') }}

),

by_customer as (

    select
        customer_id,
        sum(total_amount) as total_revenue,
        count(distinct transaction_id) as total_orders
    from sales
    where customer_id <> '-1'
    group by customer_id

)

select
    coalesce(segments.customer_id, by_customer.customer_id) as customer_id,
    segments.total_revenue,
    by_customer.total_revenue as sales_revenue
from segments
full join by_customer on segments.customer_id = by_customer.customer_id
where
    coalesce(segments.total_revenue, 0) <> coalesce(by_customer.total_revenue, 0)
    or coalesce(segments.total_orders, 0) <> coalesce(by_customer.total_orders, 0)
