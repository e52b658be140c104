with

source as (

    select * from {{ source('raw', 'online_sales') }}

),

final as (

    select
        -- ids
        transaction_id,
        customer_id,
        product_sku,

        -- text
        {{ decode_html_entities('product_description') }} as product_name,
        {{ decode_html_entities('product_category') }} as product_category,
        coupon_status,

        -- numbers
        cast(quantity as integer) as quantity,
        cast(avg_price as numeric(14, 4)) as avg_price,
        cast(delivery_charges as numeric(14, 2)) as delivery_charges,

        -- times
        {{ parse_date('transaction_date') }} as transaction_date,

        -- loader
        _file,
        _row,
        _loaded_at
    from source

)

select * from final
