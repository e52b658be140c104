-- Every month of first orders has a cohort, and every cohort a row a month up to the newest order.
with

orders as (

    select * from {{ ref('fct_orders') }}

),

cohorts as (

    select * from {{ ref('fct_customer_cohorts') }}

),

newest as (

    select cast(date_trunc('month', max(order_date)) as date) as date_month from orders

),

acquired as (

    select distinct cast(date_trunc('month', order_date) as date) as cohort_month
    from orders
    where is_first_order

),

reached as (

    select
        cohort_month,
        count(*) as months,
        max(months_since) as last_month_since,
        max(date_month) as last_month
    from cohorts
    group by cohort_month

)

select
    acquired.cohort_month,
    reached.last_month
from acquired
cross join newest
left join reached on acquired.cohort_month = reached.cohort_month
where
    reached.last_month is distinct from newest.date_month
    or reached.months <> reached.last_month_since + 1
