with

source as (

    select * from {{ source('raw', 'tax_amount') }}

),

final as (

    select
        -- text
        {{ decode_html_entities('product_category') }} as product_category,

        -- numbers
        cast({{ parse_percentage('gst') }} as numeric(6, 4)) as gst_rate,

        -- loader
        _file,
        _row,
        _loaded_at
    from source

)

select * from final
