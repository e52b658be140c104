with

source as (

    select * from {{ source('ml', 'customer_segments') }}

),

final as (

    select
        customer_id,
        segment_id,
        segment_name
    from source

)

select * from final
