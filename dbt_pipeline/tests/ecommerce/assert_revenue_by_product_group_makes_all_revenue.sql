-- The product dimension neither drops nor doubles a sale.
with

sales as not materialized (

    select * from {{ ref('fct_sales') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

by_group as (

    select
        products.product_group,
        sum(sales.total_amount) as revenue
    from sales
    inner join products on sales.product_sku = products.product_sku
    group by products.product_group

),

totals as (

    select
        (select coalesce(sum(revenue), 0) from by_group) as grouped_revenue,
        (select coalesce(sum(total_amount), 0) from sales) as revenue

)

select grouped_revenue, revenue
from totals
where grouped_revenue <> revenue
