with

products as (

    select * from {{ ref('dim_products') }}

),

sales as not materialized (

    select * from {{ ref('stg_online_sales') }}

),

last_days as (

    select
        product_sku,
        max(transaction_date) as last_day
    from sales
    group by product_sku

)

select products.product_sku
from products
inner join last_days on products.product_sku = last_days.product_sku
where
    not exists (
        select 1
        from sales
        where
            sales.product_sku = products.product_sku
            and sales.transaction_date = last_days.last_day
            and sales.product_name = products.product_name
            and sales.product_category = products.category
    )
