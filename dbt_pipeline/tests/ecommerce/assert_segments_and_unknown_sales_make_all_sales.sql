-- Known customers' revenue plus that of the unknown member is all revenue, to the cent.
with

all_sales as (

    select * from {{ ref('fct_sales') }}

),

sales as (

    select * from all_sales
    where {{ is_before_as_of('transaction_date') }}

),

segments as (

    select * from {{ ref('fct_customer_segments') }}

),

totals as (

    select
        (select coalesce(sum(total_amount), 0) from sales) as all_revenue,
        (
            select coalesce(sum(total_amount) filter (where customer_id = '-1'), 0) from sales
        ) as unknown_revenue,
        (select coalesce(sum(total_revenue), 0) from segments) as known_revenue

)

select all_revenue, unknown_revenue, known_revenue
from totals
where all_revenue <> unknown_revenue + known_revenue
