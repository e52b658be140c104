-- The twenty products that bring in the most, with the name of their newest sale.
with

sales as (

    select * from {{ ref('fct_sales') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

by_product as (

    select
        product_sku,
        count(*) as sale_lines,
        sum(quantity) as quantity,
        sum(gross_sales_amount - discount_amount) as net_revenue
    from sales
    group by product_sku

)

select
    by_product.product_sku,
    products.product_name,
    products.category,
    by_product.sale_lines,
    by_product.quantity,
    by_product.net_revenue,
    round(by_product.net_revenue / by_product.quantity, 2) as net_revenue_per_piece
from by_product
inner join products on by_product.product_sku = products.product_sku
order by by_product.net_revenue desc, by_product.product_sku asc
