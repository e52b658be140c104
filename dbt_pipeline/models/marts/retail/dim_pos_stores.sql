with

stores as (

    select * from {{ ref('pos_stores') }}

),

final as (

    select
        store_id,
        store_name,
        city,
        region,
        size_sqft
    from stores

    union all

    select
        '-1' as store_id,
        'Unknown' as store_name,
        'Unknown' as city,
        'Unknown' as region,
        cast(null as integer) as size_sqft

)

select * from final
