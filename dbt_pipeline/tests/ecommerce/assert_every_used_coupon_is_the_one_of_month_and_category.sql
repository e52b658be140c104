-- Looked up by a way of its own: at most one coupon fits, and a line has it exactly when one fits.
with

sales as (

    select * from {{ ref('fct_sales') }}

),

coupons as (

    select * from {{ ref('stg_discount_coupon') }}

),

keyed_coupons as (

    select
        coupon_code,
        discount_rate,
        product_category || '|' || month_number as coupon_key
    from coupons

),

keyed_sales as (

    select
        sale_line_id,
        coupon_status,
        coupon_code,
        discount_rate,
        product_category || '|' || cast(extract(month from transaction_date) as integer)
            as coupon_key
    from sales

)

select
    keyed_sales.sale_line_id,
    keyed_sales.coupon_code,
    keyed_coupons.coupon_code as expected_code
from keyed_sales
left join keyed_coupons on keyed_sales.coupon_key = keyed_coupons.coupon_key
where
    case
        when keyed_sales.coupon_status = 'Used'
            then
                keyed_sales.coupon_code is distinct from keyed_coupons.coupon_code
                or keyed_sales.discount_rate <> coalesce(keyed_coupons.discount_rate, 0)
        else keyed_sales.coupon_code is not null or keyed_sales.discount_rate <> 0
    end
