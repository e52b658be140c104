with

balance as (

    select * from {{ ref('fct_segment_balance') }}

),

customers as (

    select * from {{ ref('fct_customer_segments') }}

),

newest as (

    select *
    from balance
    order by run_at desc
    fetch first 1 row with ties

),

closing as (

    select
        segment_id,
        closing_customers
    from newest
    where closing_customers > 0

),

today as (

    select
        segment_id,
        count(*) as customers
    from customers
    group by segment_id

)

select
    coalesce(closing.segment_id, today.segment_id) as segment_id,
    closing.closing_customers,
    today.customers
from closing
full join today on closing.segment_id = today.segment_id
where closing.closing_customers is distinct from today.customers
