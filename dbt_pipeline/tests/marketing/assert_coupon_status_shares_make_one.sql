-- The statuses of a month and category share its lines out; each share is rounded on its own.
with

coupons as (

    select * from {{ ref('fct_coupon_effect') }}

)

select
    date_month,
    product_category,
    sum(sale_lines_share) as shares
from coupons
group by date_month, product_category
having abs(sum(sale_lines_share) - 1) > 0.0002
