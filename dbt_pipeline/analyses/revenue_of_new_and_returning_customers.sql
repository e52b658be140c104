-- How much of each month's revenue comes from customers acquired in it, and from those of before.
-- The unknown member is neither.
with

cohorts as (

    select * from {{ ref('fct_customer_cohorts') }}

),

by_month as (

    select
        date_month,
        sum(active_customers) filter (where months_since = 0) as new_customers,
        sum(active_customers) filter (where months_since > 0) as returning_customers,
        sum(net_revenue) filter (where months_since = 0) as new_net_revenue,
        sum(net_revenue) filter (where months_since > 0) as returning_net_revenue,
        sum(net_revenue) as net_revenue
    from cohorts
    group by date_month

)

select
    date_month,
    coalesce(new_customers, 0) as new_customers,
    coalesce(returning_customers, 0) as returning_customers,
    coalesce(new_net_revenue, 0) as new_net_revenue,
    coalesce(returning_net_revenue, 0) as returning_net_revenue,
    round(coalesce(returning_net_revenue, 0) / nullif(net_revenue, 0), 4) as returning_share
from by_month
order by date_month
