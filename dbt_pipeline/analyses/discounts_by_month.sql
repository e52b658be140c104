-- What the coupons cost by month, and how many lines had one clicked but not used.
with

coupons as (

    select * from {{ ref('fct_coupon_effect') }}

)

select
    date_month,
    sum(sale_lines) as sale_lines,
    round(
        coalesce(sum(sale_lines) filter (where coupon_status = 'Used'), 0) / sum(sale_lines), 4
    ) as used_share,
    round(
        coalesce(sum(sale_lines) filter (where coupon_status = 'Clicked'), 0) / sum(sale_lines), 4
    ) as clicked_share,
    sum(discount_amount) as discount_amount,
    round(sum(discount_amount) / nullif(sum(gross_sales_amount), 0), 4) as discount_share
from coupons
group by date_month
order by date_month
