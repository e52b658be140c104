with

source as (

    select * from {{ source('raw', 'discount_coupon') }}

),

final as (

    select
        -- ids
        coupon_code,

        -- text
        {{ decode_html_entities('product_category') }} as product_category,

        -- numbers
        {{ parse_month('month') }} as month_number,
        cast({{ parse_percentage('discount_pct') }} as numeric(6, 4)) as discount_rate,

        -- loader
        _file,
        _row,
        _loaded_at
    from source

)

select * from final
