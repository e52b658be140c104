with

daily as (

    select * from {{ ref('fct_marketing_daily') }}

),

by_month as (

    select
        cast(date_trunc('month', cast(date_day as timestamp)) as date) as date_month,
        cast(count(*) as integer) as days,
        cast(sum(orders) as bigint) as orders,
        cast(sum(new_customers) as bigint) as new_customers,
        cast(sum(offline_spend) as numeric(22, 2)) as offline_spend,
        cast(sum(online_spend) as numeric(22, 2)) as online_spend,
        cast(sum(total_spend) as numeric(22, 2)) as total_spend,
        cast(sum(gross_revenue) as numeric(22, 2)) as gross_revenue,
        cast(sum(net_revenue) as numeric(22, 2)) as net_revenue
    from daily
    group by date_month

),

-- Ratios come from the sums of the month: a mean of daily ratios would weigh a day with one new
-- customer like a day with fifty, and leave out days with none.
final as (

    select
        -- times
        date_month,

        -- numbers
        days,
        orders,
        new_customers,
        offline_spend,
        online_spend,
        total_spend,
        gross_revenue,
        net_revenue,
        cast(total_spend / nullif(new_customers, 0) as numeric(22, 2))
            as cost_per_acquired_customer,
        cast(net_revenue / nullif(total_spend, 0) as numeric(22, 4)) as return_on_spend
    from by_month

)

select * from final
