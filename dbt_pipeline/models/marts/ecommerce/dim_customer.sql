with

customers as (

    select * from {{ ref('stg_customers') }}

),

known as (

    select
        customer_id,
        gender,
        location,
        customer_tenure_months,
        case
            when customer_tenure_months < 6 then 'New'
            when customer_tenure_months <= 12 then 'Developing'
            when customer_tenure_months <= 24 then 'Established'
            when customer_tenure_months > 24 then 'Loyal'
            else 'Unknown'
        end as customer_segment,
        cast(customer_tenure_months / 12.0 as numeric(6, 1)) as customer_tenure_years,
        _loaded_at as loaded_at
    from customers

),

unknown as (

    select
        '-1' as customer_id,
        'Unknown' as gender,
        'Unknown' as location,
        cast(null as integer) as customer_tenure_months,
        'Unknown' as customer_segment,
        cast(null as numeric(6, 1)) as customer_tenure_years,
        cast(null as timestamp with time zone) as loaded_at

),

known_and_unknown as (

    select * from known

    union all

    select * from unknown

),

final as (

    select
        customer_id,
        gender,
        location,
        customer_tenure_months,
        customer_segment,
        customer_tenure_years,
        loaded_at
    from known_and_unknown

)

select * from final
