-- Each movement of a customer starts where the one before ended, and the newest ends where the
-- customer is.
with

movements as (

    select * from {{ ref('fct_segment_movements') }}

),

customers as (

    select * from {{ ref('fct_customer_segments') }}

),

chain as (

    select
        customer_id,
        moved_at,
        from_segment_id,
        lag(to_segment_id, 1, -2) over (
            partition by customer_id order by moved_at
        ) as expected_segment_id
    from movements

),

newest as (

    select distinct on (customer_id)
        customer_id,
        moved_at,
        to_segment_id
    from movements
    order by customer_id asc, moved_at desc

)

select
    customer_id,
    moved_at,
    from_segment_id as segment_id,
    expected_segment_id
from chain
where from_segment_id <> expected_segment_id

union all

select
    coalesce(newest.customer_id, customers.customer_id) as customer_id,
    newest.moved_at,
    newest.to_segment_id as segment_id,
    customers.segment_id as expected_segment_id
from newest
full join customers on newest.customer_id = customers.customer_id
where coalesce(newest.to_segment_id, -2) <> coalesce(customers.segment_id, -2)
