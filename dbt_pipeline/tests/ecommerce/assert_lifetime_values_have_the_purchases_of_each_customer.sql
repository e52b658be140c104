{#
    The model's own result is compared with the orders it was made from. After a load and before the
    stage segment it is older than they are: no defect of the data, so it warns.
#}
{{ config(severity='warn') }}

with

lifetime_values as (

    select * from {{ ref('fct_customer_lifetime_value') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

run as (

    select max(as_of_date) as as_of_date
    from lifetime_values

),

purchases as (

    select
        orders.customer_id,
        orders.order_date,
        sum(orders.net_sales_amount) as net_sales_amount
    from orders
    inner join run on orders.order_date < run.as_of_date
    group by orders.customer_id, orders.order_date

),

firsts as (

    select
        customer_id,
        min(order_date) as first_on
    from purchases
    where customer_id <> '-1'
    group by customer_id

),

expected as (

    select
        firsts.customer_id,
        firsts.first_on,
        count(*) - 1 as frequency,
        max(purchases.order_date) - firsts.first_on as recency_days,
        round(avg(purchases.net_sales_amount) filter (
            where purchases.order_date > firsts.first_on
        ), 2) as mean_order_value
    from firsts
    inner join purchases on firsts.customer_id = purchases.customer_id
    group by firsts.customer_id, firsts.first_on

)

select
    expected.customer_id,
    expected.frequency as expected_frequency,
    lifetime_values.frequency
from expected
full join lifetime_values on expected.customer_id = lifetime_values.customer_id
where
    lifetime_values.frequency is distinct from expected.frequency
    or lifetime_values.recency_days <> expected.recency_days
    or lifetime_values.age_days <> lifetime_values.as_of_date - expected.first_on
    -- A float that is half a cent rounds to the even one.
    or abs(lifetime_values.mean_order_value - expected.mean_order_value) > 0.01
