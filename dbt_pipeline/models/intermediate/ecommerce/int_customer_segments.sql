with

customers as (

    select * from {{ ref('stg_customers') }}

),

seed_labels as (

    select * from {{ ref('customer_segments') }}

),

table_labels as (

    select * from {{ ref('stg_customer_segments') }}

),

runs as (

    select * from {{ ref('stg_segmentation_runs') }}

),

-- One row always: before the first run, and after one that found too few customers, the seed.
place as (

    select coalesce(max(labels_in), 'seed') as labels_in
    from runs

),

-- Of the two places only the one that the segmentation names counts: what is left in the other is
-- of an earlier run.
labels as (

    select
        customer_id,
        segment_id,
        segment_name
    from seed_labels
    where (select place.labels_in from place) = 'seed'

    union all

    select
        customer_id,
        segment_id,
        segment_name
    from table_labels
    where (select place.labels_in from place) = 'table'

),

final as (

    select
        customers.customer_id,
        coalesce(labels.segment_id, -1) as segment_id,
        coalesce(labels.segment_name, 'Unsegmented') as segment_name
    from customers
    left join labels on customers.customer_id = labels.customer_id

)

select * from final
