-- What a new customer costs, and what each unit of spend brings, by month and so far.
with

monthly as (

    select * from {{ ref('rpt_marketing_monthly') }}

)

select
    date_month,
    total_spend,
    online_spend_share,
    new_customers,
    cost_per_acquired_customer,
    net_revenue,
    return_on_spend,
    spend_change_rate,
    net_revenue_change_rate,
    cumulative_cost_per_acquired_customer,
    cumulative_return_on_spend
from monthly
order by date_month
