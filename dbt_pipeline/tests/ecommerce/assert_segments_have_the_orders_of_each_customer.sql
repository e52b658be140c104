-- The orders of a sale that spans customers count for each of them.
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
        count(distinct transaction_id) as total_orders,
        min(transaction_date) as first_purchase_date,
        max(transaction_date) as last_purchase_date
    from sales
    where customer_id <> '-1'
    group by customer_id

)

select
    coalesce(segments.customer_id, by_customer.customer_id) as customer_id,
    segments.total_orders,
    by_customer.total_orders as sales_orders
from segments
full join by_customer on segments.customer_id = by_customer.customer_id
where
    coalesce(segments.total_orders, 0) <> coalesce(by_customer.total_orders, 0)
    or segments.first_purchase_date is distinct from by_customer.first_purchase_date
    or segments.last_purchase_date is distinct from by_customer.last_purchase_date
