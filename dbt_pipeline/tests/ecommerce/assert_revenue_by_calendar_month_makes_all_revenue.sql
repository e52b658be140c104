-- The calendar neither drops nor doubles a sale.
with

sales as not materialized (

    select * from {{ ref('fct_sales') }}

),

days as (

    select * from {{ ref('dim_datetime') }}

),

by_month as (

    select
        days.year_month,
        sum(sales.total_amount) as revenue,
        count(*) as line_count
    from sales
    inner join days on sales.transaction_date = days.date_day
    group by days.year_month

),

totals as (

    select
        (select coalesce(sum(revenue), 0) from by_month) as monthly_revenue,
        (select coalesce(sum(line_count), 0) from by_month) as monthly_lines,
        (select coalesce(sum(total_amount), 0) from sales) as revenue,
        (select count(*) from sales) as line_count

)

select monthly_revenue, revenue, monthly_lines, line_count
from totals
where monthly_revenue <> revenue or monthly_lines <> line_count
