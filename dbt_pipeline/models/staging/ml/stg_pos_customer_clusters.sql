with

source as (

    select * from {{ source('ml', 'pos_customer_clusters') }}

),

final as (

    select
        customer_id,
        cluster_id
    from source

)

select * from final
