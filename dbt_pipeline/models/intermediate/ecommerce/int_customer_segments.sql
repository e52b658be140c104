with

customers as (

    select * from {{ ref('stg_customers') }}

),

segments as (

    select * from {{ ref('customer_segments') }}

),

final as (

    select
        customers.customer_id,
        coalesce(segments.segment_id, -1) as segment_id,
        coalesce(segments.segment_name, 'Unsegmented') as segment_name
    from customers
    left join segments on customers.customer_id = segments.customer_id

)

select * from final
