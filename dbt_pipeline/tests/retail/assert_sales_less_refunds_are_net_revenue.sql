-- Net revenue of the facts against that of the staged events, which come by another way.
with

sales as (

    select * from {{ ref('fct_pos_transactions') }}

),

refunds as (

    select * from {{ ref('fct_pos_refunds') }}

),

staged_sales as (

    select * from {{ ref('stg_transactions') }}

),

staged_refunds as (

    select * from {{ ref('stg_refunds') }}

),

fact_movements as (

    select date_day, source_store_id as store_id, source_product_id as product_id, amount
    from sales

    union all

    select
        date_day,
        source_store_id as store_id,
        source_product_id as product_id,
        -refund_amount as amount
    from refunds

),

net as (

    select date_day, store_id, product_id, sum(amount) as amount
    from fact_movements
    group by date_day, store_id, product_id

),

staged_movements as (

    select event_date as date_day, store_id, product_id, amount from staged_sales

    union all

    select event_date as date_day, store_id, product_id, -refund_amount as amount
    from staged_refunds

),

expected as (

    select date_day, store_id, product_id, sum(amount) as amount
    from staged_movements
    group by date_day, store_id, product_id

)

select
    coalesce(net.date_day, expected.date_day) as date_day,
    coalesce(net.store_id, expected.store_id) as store_id,
    coalesce(net.product_id, expected.product_id) as product_id,
    net.amount as net_amount,
    expected.amount as expected_amount
from net
full outer join expected
    on
        net.date_day = expected.date_day
        and net.store_id = expected.store_id
        and net.product_id = expected.product_id
where net.amount is distinct from expected.amount
