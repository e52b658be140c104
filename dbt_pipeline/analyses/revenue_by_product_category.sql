-- Which categories make the revenue: the share of each, and of it and all larger ones together.
with

sales as (

    select * from {{ ref('fct_sales') }}

),

by_category as (

    select
        product_category,
        count(*) as sale_lines,
        sum(quantity) as quantity,
        sum(gross_sales_amount) as gross_revenue,
        sum(gross_sales_amount - discount_amount) as net_revenue
    from sales
    group by product_category

)

select
    product_category,
    sale_lines,
    quantity,
    gross_revenue,
    net_revenue,
    round(net_revenue / nullif(sum(net_revenue) over (), 0), 4) as net_revenue_share,
    round(
        sum(net_revenue) over (order by net_revenue desc, product_category asc)
        / nullif(sum(net_revenue) over (), 0), 4
    ) as net_revenue_share_so_far
from by_category
order by net_revenue desc, product_category asc
