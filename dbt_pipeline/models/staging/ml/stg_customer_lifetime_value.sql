with

source as (

    select * from {{ source('ml', 'customer_lifetime_value') }}

),

final as (

    select
        -- ids
        customer_id,

        -- text
        model,

        -- times
        as_of_date,

        -- numbers
        horizon_days,
        frequency,
        recency_days,
        age_days,
        mean_order_value,
        expected_purchases,
        probability_alive,
        probability_of_purchase,
        expected_order_value,
        expected_value
    from source

)

select * from final
