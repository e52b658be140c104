with

spend as (

    select * from {{ ref('fct_marketing_spend') }}

),

sales as (

    select * from {{ ref('fct_sales_daily') }}

),

calendar as (

    select * from {{ ref('dim_datetime') }}

),

-- Spend has two rows a day and sales have one: joined as they are, each sale would count twice.
spend_by_day as (

    select
        spend_date,
        sum(spend_amount) filter (where channel = 'offline') as offline_spend,
        sum(spend_amount) filter (where channel = 'online') as online_spend,
        sum(spend_amount) as total_spend
    from spend
    group by spend_date

),

days_of_both as (

    select spend_date as date_day from spend

    union all

    select date_day from sales

),

bounds as (

    select
        min(date_day) as first_day,
        max(date_day) as last_day
    from days_of_both

),

joined as (

    select
        calendar.date_day,
        coalesce(sales.orders, 0) as orders,
        coalesce(sales.new_customers, 0) as new_customers,
        cast(coalesce(spend_by_day.offline_spend, 0) as numeric(22, 2)) as offline_spend,
        cast(coalesce(spend_by_day.online_spend, 0) as numeric(22, 2)) as online_spend,
        cast(coalesce(spend_by_day.total_spend, 0) as numeric(22, 2)) as total_spend,
        coalesce(sales.gross_sales_amount, 0) as gross_revenue,
        coalesce(sales.net_sales_amount, 0) as net_revenue
    from calendar
    inner join bounds on calendar.date_day between bounds.first_day and bounds.last_day
    left join spend_by_day on calendar.date_day = spend_by_day.spend_date
    left join sales on calendar.date_day = sales.date_day

),

final as (

    select
        -- times
        date_day,

        -- numbers
        orders,
        new_customers,
        offline_spend,
        online_spend,
        total_spend,
        cast(gross_revenue as numeric(22, 2)) as gross_revenue,
        cast(net_revenue as numeric(22, 2)) as net_revenue,
        cast(total_spend / nullif(new_customers, 0) as numeric(22, 2))
            as cost_per_acquired_customer,
        cast(net_revenue / nullif(total_spend, 0) as numeric(22, 4)) as return_on_spend
    from joined

)

select * from final
