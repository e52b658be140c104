with

daily as (

    select * from {{ ref('fct_sales_daily') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

by_month as (

    select
        cast(date_trunc('month', cast(date_day as timestamp)) as date) as date_month,
        cast(count(*) as integer) as days,
        sum(sale_lines) as sale_lines,
        sum(orders) as orders,
        sum(new_customers) as new_customers,
        sum(quantity) as quantity,
        sum(gross_sales_amount) as gross_sales_amount,
        sum(discount_amount) as discount_amount,
        sum(net_sales_amount) as net_sales_amount,
        sum(gst_amount) as gst_amount,
        sum(delivery_charges) as delivery_charges,
        sum(total_amount) as total_amount
    from daily
    group by date_month

),

-- The customers of the days cannot be summed: who orders on two days of a month is one customer.
customers_of_a_month as (

    select distinct
        cast(date_trunc('month', cast(order_date as timestamp)) as date) as date_month,
        customer_id
    from orders
    where customer_id <> '-1'

),

customers_by_month as (

    select
        date_month,
        count(*) as customers
    from customers_of_a_month
    group by date_month

),

final as (

    select
        -- times
        by_month.date_month,

        -- numbers
        by_month.days,
        cast(by_month.sale_lines as bigint) as sale_lines,
        cast(by_month.orders as bigint) as orders,
        coalesce(customers_by_month.customers, 0) as customers,
        cast(by_month.new_customers as bigint) as new_customers,
        cast(by_month.quantity as bigint) as quantity,
        cast(by_month.gross_sales_amount as numeric(22, 2)) as gross_sales_amount,
        cast(by_month.discount_amount as numeric(22, 2)) as discount_amount,
        cast(by_month.net_sales_amount as numeric(22, 2)) as net_sales_amount,
        cast(by_month.gst_amount as numeric(22, 2)) as gst_amount,
        cast(by_month.delivery_charges as numeric(22, 2)) as delivery_charges,
        cast(by_month.total_amount as numeric(22, 2)) as total_amount,
        cast(by_month.total_amount / nullif(by_month.orders, 0) as numeric(22, 2))
            as avg_order_value
    from by_month
    left join customers_by_month on by_month.date_month = customers_by_month.date_month

)

select * from final
