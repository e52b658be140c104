-- Where the customers live who make the revenue. Whom the customers file lacks are in Unknown, as
-- one customer.
with

orders as (

    select * from {{ ref('fct_orders') }}

),

customers as (

    select * from {{ ref('dim_customer') }}

),

by_customer as (

    select
        customer_id,
        count(*) as orders,
        sum(net_sales_amount) as net_revenue
    from orders
    group by customer_id

)

select
    customers.location,
    count(*) as customers,
    sum(by_customer.orders) as orders,
    sum(by_customer.net_revenue) as net_revenue,
    round(sum(by_customer.net_revenue) / sum(by_customer.orders), 2) as net_revenue_per_order,
    round(
        sum(by_customer.net_revenue) / nullif(sum(sum(by_customer.net_revenue)) over (), 0), 4
    ) as net_revenue_share
from by_customer
inner join customers on by_customer.customer_id = customers.customer_id
group by customers.location
order by net_revenue desc, customers.location asc
