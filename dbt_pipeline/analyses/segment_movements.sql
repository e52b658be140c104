-- Customers who changed segment in the newest run that moved somebody: a row for where they were, a
-- column for where they went. Who stayed is not counted.
with

movements as (

    select * from {{ ref('fct_segment_movements') }}

),

newest_run as (

    select *
    from movements
    order by moved_at desc
    fetch first 1 row with ties

)

select
    from_segment_name,
    count(*) as customers,
    count(*) filter (where to_segment_id = 0) as to_big_spenders,
    count(*) filter (where to_segment_id = 1) as to_at_risk,
    count(*) filter (where to_segment_id = 2) as to_occasional_shoppers,
    count(*) filter (where to_segment_id = 3) as to_champions,
    count(*) filter (where to_segment_id = 4) as to_loyal_customers,
    count(*) filter (where to_segment_id = -1) as to_unsegmented,
    count(*) filter (where to_segment_id = -2) as left_customers
from newest_run
group by from_segment_id, from_segment_name
order by from_segment_id
