with

sales as (

    select * from {{ ref('fct_sales') }}

),

taxes as (

    select * from {{ ref('stg_tax_amount') }}

)

select
    sales.sale_line_id,
    sales.gst_rate
from sales
where
    sales.gst_rate is distinct from coalesce(
        (
            select taxes.gst_rate
            from taxes
            where taxes.product_category = sales.product_category
        ),
        0
    )
