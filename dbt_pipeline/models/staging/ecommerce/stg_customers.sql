with

source as (

    select * from {{ source('raw', 'customers') }}

),

final as (

    select
        -- ids
        customer_id,

        -- text
        gender,
        location,

        -- numbers
        cast(tenure_months as integer) as customer_tenure_months,

        -- loader
        _file,
        _row,
        _loaded_at
    from source

)

select * from final
