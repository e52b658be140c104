-- Do customers come back: the share of each month's new customers who order 1 to 11 months later.
with

cohorts as (

    select * from {{ ref('fct_customer_cohorts') }}

)

select
    cohort_month,
    max(cohort_size) as customers,
    max(retention_share) filter (where months_since = 1) as month_1,
    max(retention_share) filter (where months_since = 2) as month_2,
    max(retention_share) filter (where months_since = 3) as month_3,
    max(retention_share) filter (where months_since = 6) as month_6,
    max(retention_share) filter (where months_since = 9) as month_9,
    max(retention_share) filter (where months_since = 11) as month_11,
    round(sum(net_revenue) / max(cohort_size), 2) as net_revenue_per_customer
from cohorts
group by cohort_month
order by cohort_month
