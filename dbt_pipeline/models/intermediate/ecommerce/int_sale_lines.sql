{{
    config(
        indexes=[{'columns': ['transaction_date']}]
    )
}}

with

sales as (

    select * from {{ ref('stg_online_sales') }}

),

coupons as (

    select * from {{ ref('stg_discount_coupon') }}

),

taxes as (

    select * from {{ ref('stg_tax_amount') }}

),

-- A sale can hold the same product for the same customer twice; the place in the file tells the
-- lines apart.
numbered as (

    select
        *,
        row_number() over (
            partition by transaction_id, customer_id, product_sku order by _file, _row
        ) as line_number
    from sales

),

rated as (

    select
        numbered.*,
        coupons.coupon_code,
        cast(coalesce(coupons.discount_rate, 0) as numeric(6, 4)) as discount_rate,
        cast(coalesce(taxes.gst_rate, 0) as numeric(6, 4)) as gst_rate,
        cast(numbered.quantity * numbered.avg_price as numeric(22, 2)) as gross_sales_amount
    from numbered
    left join coupons
        on
            numbered.coupon_status = 'Used'
            and numbered.product_category = coupons.product_category
            and extract(month from numbered.transaction_date) = coupons.month_number
    left join taxes on numbered.product_category = taxes.product_category

),

discounted as (

    select
        *,
        cast(gross_sales_amount * discount_rate as numeric(22, 2)) as discount_amount
    from rated

),

taxed as (

    select
        *,
        cast((gross_sales_amount - discount_amount) * gst_rate as numeric(22, 2)) as gst_amount
    from discounted

),

final as (

    select
        -- ids
        {{ surrogate_key(['transaction_id', 'customer_id', 'product_sku', 'line_number']) }}
            as sale_line_id,
        transaction_id,
        customer_id as source_customer_id,
        product_sku,

        -- text
        product_category,
        coupon_status,
        coupon_code,

        -- numbers
        quantity,
        avg_price,
        gross_sales_amount,
        discount_rate,
        discount_amount,
        gst_rate,
        gst_amount,
        delivery_charges,
        cast(
            gross_sales_amount - discount_amount + gst_amount + delivery_charges as numeric(22, 2)
        ) as total_amount,

        -- times
        transaction_date,

        -- loader
        _file,
        _row,
        _loaded_at
    from taxed

)

select * from final
