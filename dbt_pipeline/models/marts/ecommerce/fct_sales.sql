with

sale_lines as (

    select * from {{ ref('int_sale_lines') }}

),

customers as (

    select * from {{ ref('dim_customer') }}

),

final as (

    select
        -- ids
        sale_lines.sale_line_id,
        sale_lines.transaction_id,
        coalesce(customers.customer_id, '-1') as customer_id,
        sale_lines.source_customer_id,
        sale_lines.product_sku,

        -- times
        sale_lines.transaction_date,

        -- text
        sale_lines.product_category,
        sale_lines.coupon_status,
        sale_lines.coupon_code,

        -- numbers
        sale_lines.quantity,
        sale_lines.avg_price,
        sale_lines.gross_sales_amount,
        sale_lines.discount_rate,
        sale_lines.discount_amount,
        sale_lines.gst_rate,
        sale_lines.gst_amount,
        sale_lines.delivery_charges,
        sale_lines.total_amount,
        {{ categorize_sale_size('sale_lines.total_amount') }} as sale_size_category,

        -- loader
        sale_lines._loaded_at as processed_at
    from sale_lines
    left join customers on sale_lines.source_customer_id = customers.customer_id

)

select * from final
