with

refunds as (

    select * from {{ ref('fct_pos_refunds') }}

),

sales as (

    select * from {{ ref('fct_pos_transactions') }}

),

by_sale as (

    select original_transaction_id, sum(refund_amount) as refunded_amount
    from refunds
    group by original_transaction_id

)

select
    refunds.refund_id,
    refunds.sale_refunded_amount,
    by_sale.refunded_amount,
    refunds.sale_amount,
    sales.amount
from refunds
inner join by_sale on refunds.original_transaction_id = by_sale.original_transaction_id
left join sales on refunds.original_transaction_id = sales.transaction_id
where
    refunds.sale_refunded_amount <> by_sale.refunded_amount
    or refunds.sale_amount is distinct from sales.amount
    or refunds.is_over_refunded <> coalesce(by_sale.refunded_amount > sales.amount, false)
