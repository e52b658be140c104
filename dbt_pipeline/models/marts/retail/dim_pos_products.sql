with

products as (

    select * from {{ ref('pos_products') }}

),

final as (

    select
        product_id,
        product_name,
        category,
        base_price
    from products

    union all

    select
        '-1' as product_id,
        'Unknown' as product_name,
        'Unknown' as category,
        cast(null as numeric(10, 2)) as base_price

)

select * from final
