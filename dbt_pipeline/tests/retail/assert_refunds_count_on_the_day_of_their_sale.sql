-- The refunds of a day's sales, found from the facts by the sale of each refund.
with

days as (

    select * from {{ ref('fct_pos_net_revenue_daily') }}

),

sales as (

    select * from {{ ref('fct_pos_transactions') }}

),

refunds as (

    select * from {{ ref('fct_pos_refunds') }}

),

expected as (

    select
        coalesce(sales.date_day, refunds.date_day) as date_day,
        coalesce(sales.source_store_id, '-1') as source_store_id,
        coalesce(sales.source_product_id, '-1') as source_product_id,
        count(*) as refund_count,
        sum(refunds.refund_amount) as refund_amount
    from refunds
    left join sales on refunds.original_transaction_id = sales.transaction_id
    group by 1, 2, 3

)

select
    days.date_day,
    expected.date_day as expected_date_day,
    days.sales_refund_amount,
    expected.refund_amount
from days
full outer join expected
    on
        days.date_day = expected.date_day
        and days.source_store_id = expected.source_store_id
        and days.source_product_id = expected.source_product_id
where
    coalesce(days.sales_refund_amount, 0) <> coalesce(expected.refund_amount, 0)
    or coalesce(days.sales_refund_count, 0) <> coalesce(expected.refund_count, 0)
