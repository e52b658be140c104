with

source as (

    select * from {{ source('ml', 'segmentation_runs') }}

),

final as (

    select
        -- ids
        run_id,
        run_number,

        -- text
        origin,
        outcome,
        reason,
        named_by,
        labels_in,
        data_sha256,
        labels_sha256,

        -- numbers
        customer_count,
        cluster_count,
        mean_squared_distance,
        silhouette,
        davies_bouldin,
        calinski_harabasz,
        stability_mean,
        stability_min,
        jaccard_min,
        smallest_cluster_share,
        farthest_match,
        psi_recency_days,
        psi_frequency,
        psi_monetary,
        psi_average_order_value,
        moved_share,
        distance_ratio,

        -- times
        as_of_date,
        recorded_at
    from source

)

select * from final
