-- Each month's running sums, added up anew from the months before it.
with

report as (

    select * from {{ ref('rpt_marketing_monthly') }}

),

monthly as (

    select * from {{ ref('fct_marketing_monthly') }}

),

added_up as (

    select
        report.date_month,
        sum(monthly.total_spend) as total_spend,
        sum(monthly.net_revenue) as net_revenue,
        sum(monthly.new_customers) as new_customers
    from report
    inner join monthly on report.date_month >= monthly.date_month
    group by report.date_month

)

select
    report.date_month,
    report.cumulative_spend,
    added_up.total_spend
from report
inner join added_up on report.date_month = added_up.date_month
where
    report.cumulative_spend <> added_up.total_spend
    or report.cumulative_net_revenue <> added_up.net_revenue
    or report.cumulative_new_customers <> added_up.new_customers
