with

customers as (

    select * from {{ ref('int_pos_customer_rfm') }}

),

clusters as (

    select * from {{ ref('stg_pos_customer_clusters') }}

),

final as (

    select
        -- ids
        customers.customer_id,

        -- times
        customers.as_of_date,

        -- numbers
        customers.recency_days,
        customers.frequency,
        customers.monetary,
        customers.avg_order_value,
        customers.r_score,
        customers.f_score,
        customers.m_score,

        -- text
        customers.rfm_segment,

        -- clusters
        coalesce(clusters.cluster_id, -1) as cluster_id
    from customers
    left join clusters on customers.customer_id = clusters.customer_id

)

select * from final
