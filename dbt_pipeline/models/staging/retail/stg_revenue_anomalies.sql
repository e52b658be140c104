with

source as (

    select * from {{ source('ml', 'revenue_anomalies') }}

),

final as (

    select
        -- ids
        product_id,

        -- text
        direction,
        reason,

        -- numbers
        expected_revenue,
        actual_revenue,
        score,

        -- times
        window_start
    from source

)

select * from final
