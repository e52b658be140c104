-- What refunds cost at the tills, by product. A refund counts when it is paid, a sale when it is
-- made: refunds of the newest sales are still to come.
with

sales as (

    select * from {{ ref('fct_pos_transactions') }}

),

refunds as (

    select * from {{ ref('fct_pos_refunds') }}

),

products as (

    select * from {{ ref('dim_pos_products') }}

),

-- Each side by product before the two meet: a sale with two refunds would count twice.
sold as (

    select
        product_id,
        count(*) as sales,
        sum(amount) as revenue
    from sales
    group by product_id

),

refunded as (

    select
        product_id,
        count(*) as refunds,
        sum(refund_amount) as refund_amount
    from refunds
    group by product_id

)

select
    products.product_id,
    products.product_name,
    coalesce(sold.sales, 0) as sales,
    coalesce(sold.revenue, 0) as revenue,
    coalesce(refunded.refunds, 0) as refunds,
    coalesce(refunded.refund_amount, 0) as refund_amount,
    round(refunded.refund_amount / nullif(sold.revenue, 0), 4) as refund_share
from products
left join sold on products.product_id = sold.product_id
left join refunded on products.product_id = refunded.product_id
where sold.sales > 0 or refunded.refunds > 0
order by refund_amount desc, products.product_id asc
