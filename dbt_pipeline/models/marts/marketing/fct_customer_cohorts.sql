with

-- Not materialized: it is read more than once, and a copy of it would go to disk first.
orders as not materialized (

    select * from {{ ref('fct_orders') }}

),

first_orders as (

    select
        customer_id,
        cast(date_trunc('month', cast(order_date as timestamp)) as date) as cohort_month
    from orders
    where is_first_order

),

cohorts as (

    select
        cohort_month,
        count(*) as cohort_size
    from first_orders
    group by cohort_month

),

newest as (

    select date_trunc('month', max(order_date)) as last_month from orders

),

months as (

    select
        cohorts.cohort_month,
        cohorts.cohort_size,
        cast(month_series.date_month as date) as date_month
    from cohorts
    cross join newest
    cross join lateral generate_series(
        cast(cohorts.cohort_month as timestamp), newest.last_month, interval '1 month'
    ) as month_series (date_month)

),

-- The unknown member has no first order, so its sales are in no cohort.
customer_months as (

    select
        first_orders.cohort_month,
        orders.customer_id,
        cast(date_trunc('month', cast(orders.order_date as timestamp)) as date) as date_month,
        count(*) as orders,
        sum(orders.gross_sales_amount) as gross_revenue,
        sum(orders.net_sales_amount) as net_revenue
    from orders
    inner join first_orders on orders.customer_id = first_orders.customer_id
    group by
        first_orders.cohort_month,
        orders.customer_id,
        cast(date_trunc('month', cast(orders.order_date as timestamp)) as date)

),

activity as (

    select
        cohort_month,
        date_month,
        count(*) as active_customers,
        sum(orders) as orders,
        sum(gross_revenue) as gross_revenue,
        sum(net_revenue) as net_revenue
    from customer_months
    group by cohort_month, date_month

),

final as (

    select
        -- times
        months.cohort_month,
        cast(
            12 * (extract(year from months.date_month) - extract(year from months.cohort_month))
            + extract(month from months.date_month) - extract(month from months.cohort_month)
            as integer
        ) as months_since,
        months.date_month,

        -- numbers
        months.cohort_size,
        coalesce(activity.active_customers, 0) as active_customers,
        cast(
            cast(coalesce(activity.active_customers, 0) as numeric) / months.cohort_size
            as numeric(6, 4)
        ) as retention_share,
        cast(coalesce(activity.orders, 0) as bigint) as orders,
        cast(coalesce(activity.gross_revenue, 0) as numeric(22, 2)) as gross_revenue,
        cast(coalesce(activity.net_revenue, 0) as numeric(22, 2)) as net_revenue
    from months
    left join activity
        on
            months.cohort_month = activity.cohort_month
            and months.date_month = activity.date_month

)

select * from final
