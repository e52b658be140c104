with

anomalies as (

    select * from {{ ref('stg_revenue_anomalies') }}

),

products as (

    select * from {{ ref('dim_pos_products') }}

),

final as (

    select
        -- ids
        coalesce(products.product_id, '-1') as product_id,
        anomalies.product_id as source_product_id,

        -- text
        anomalies.direction,
        anomalies.reason,

        -- numbers
        anomalies.expected_revenue,
        anomalies.actual_revenue,
        anomalies.score,

        -- times
        anomalies.window_start
    from anomalies
    left join products on anomalies.product_id = products.product_id

)

select * from final
