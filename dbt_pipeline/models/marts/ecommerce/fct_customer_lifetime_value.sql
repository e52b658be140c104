with

customers as (

    select * from {{ ref('dim_customer') }}

),

lifetime_values as (

    select * from {{ ref('stg_customer_lifetime_value') }}

),

final as (

    select
        -- ids
        lifetime_values.customer_id,

        -- text
        lifetime_values.model,

        -- times
        lifetime_values.as_of_date,

        -- numbers
        lifetime_values.horizon_days,
        lifetime_values.frequency,
        lifetime_values.recency_days,
        lifetime_values.age_days,
        lifetime_values.mean_order_value,
        lifetime_values.expected_purchases,
        lifetime_values.probability_alive,
        lifetime_values.probability_of_purchase,
        lifetime_values.expected_order_value,
        lifetime_values.expected_value
    from lifetime_values
    -- The result of a run on other data can have customers whom the customers file lacks.
    inner join customers on lifetime_values.customer_id = customers.customer_id

)

select * from final
