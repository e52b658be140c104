with

monthly as (

    select * from {{ ref('fct_marketing_monthly') }}

),

compared as (

    select
        *,
        lag(total_spend) over (order by date_month) as previous_spend,
        lag(net_revenue) over (order by date_month) as previous_revenue,
        lag(new_customers) over (order by date_month) as previous_new_customers,
        sum(new_customers) over (order by date_month) as cumulative_new_customers,
        sum(total_spend) over (order by date_month) as cumulative_spend,
        sum(net_revenue) over (order by date_month) as cumulative_net_revenue
    from monthly

),

final as (

    select
        -- times
        date_month,

        -- numbers: the month
        days,
        orders,
        new_customers,
        offline_spend,
        online_spend,
        total_spend,
        cast(online_spend / nullif(total_spend, 0) as numeric(6, 4)) as online_spend_share,
        net_revenue,
        cost_per_acquired_customer,
        return_on_spend,

        -- numbers: beside the month before
        cast(total_spend / nullif(previous_spend, 0) - 1 as numeric(22, 4)) as spend_change_rate,
        cast(net_revenue / nullif(previous_revenue, 0) - 1 as numeric(22, 4))
            as net_revenue_change_rate,
        cast(
            cast(new_customers as numeric) / nullif(previous_new_customers, 0) - 1
            as numeric(22, 4)
        ) as new_customers_change_rate,

        -- numbers: since the first month
        cast(cumulative_new_customers as bigint) as cumulative_new_customers,
        cast(cumulative_spend as numeric(22, 2)) as cumulative_spend,
        cast(cumulative_net_revenue as numeric(22, 2)) as cumulative_net_revenue,
        cast(cumulative_spend / nullif(cumulative_new_customers, 0) as numeric(22, 2))
            as cumulative_cost_per_acquired_customer,
        cast(cumulative_net_revenue / nullif(cumulative_spend, 0) as numeric(22, 4))
            as cumulative_return_on_spend
    from compared

)

select * from final
