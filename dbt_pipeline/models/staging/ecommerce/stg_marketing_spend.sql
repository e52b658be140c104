with

source as (

    select * from {{ source('raw', 'marketing_spend') }}

),

final as (

    select
        -- numbers
        cast(offline_spend as numeric(14, 2)) as offline_spend,
        cast(online_spend as numeric(14, 2)) as online_spend,

        -- times
        {{ parse_date('date') }} as spend_date,

        -- loader
        _file,
        _row,
        _loaded_at
    from source

)

select * from final
