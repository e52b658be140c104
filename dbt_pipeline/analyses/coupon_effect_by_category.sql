-- Did the coupons work: value of a line with a coupon used, beside lines without, by category.
-- Customers who use coupons may differ from the others: this compares, it does not prove.
with

coupons as (

    select * from {{ ref('fct_coupon_effect') }}

),

by_category as (

    select
        product_category,
        sum(sale_lines) as sale_lines,
        sum(sale_lines) filter (where coupon_status = 'Used') as used_lines,
        sum(sale_lines) filter (where coupon_status <> 'Used') as other_lines,
        sum(quantity) filter (where coupon_status = 'Used') as used_quantity,
        sum(quantity) filter (where coupon_status <> 'Used') as other_quantity,
        sum(net_sales_amount) filter (where coupon_status = 'Used') as used_net_revenue,
        sum(net_sales_amount) filter (where coupon_status <> 'Used') as other_net_revenue,
        sum(discount_amount) as discount_amount
    from coupons
    group by product_category

)

select
    product_category,
    sale_lines,
    round(coalesce(used_lines, 0) / sale_lines, 4) as used_share,
    discount_amount,
    round(used_quantity / used_lines, 2) as pieces_per_used_line,
    round(other_quantity / other_lines, 2) as pieces_per_other_line,
    round(used_net_revenue / used_lines, 2) as net_revenue_per_used_line,
    round(other_net_revenue / other_lines, 2) as net_revenue_per_other_line
from by_category
order by discount_amount desc, product_category asc
