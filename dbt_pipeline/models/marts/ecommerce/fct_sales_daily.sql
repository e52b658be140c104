with

-- Not materialized: it is read more than once, and a copy of it would go to disk first.
orders as not materialized (

    select * from {{ ref('fct_orders') }}

),

calendar as (

    select * from {{ ref('dim_datetime') }}

),

by_day as (

    select
        order_date,
        sum(sale_lines) as sale_lines,
        count(*) as orders,
        count(*) filter (where is_first_order) as new_customers,
        sum(quantity) as quantity,
        sum(gross_sales_amount) as gross_sales_amount,
        sum(discount_amount) as discount_amount,
        sum(net_sales_amount) as net_sales_amount,
        sum(gst_amount) as gst_amount,
        sum(delivery_charges) as delivery_charges,
        sum(total_amount) as total_amount
    from orders
    group by order_date

),

bounds as (

    select
        min(order_date) as first_day,
        max(order_date) as last_day
    from by_day

),

-- Apart from the sums: count(distinct) beside them would sort every order with all its columns.
customers_of_a_day as (

    select distinct
        order_date,
        customer_id
    from orders
    where customer_id <> '-1'

),

customers_by_day as (

    select
        order_date,
        count(*) as customers
    from customers_of_a_day
    group by order_date

),

final as (

    select
        -- times
        calendar.date_day,

        -- numbers
        coalesce(by_day.sale_lines, 0) as sale_lines,
        coalesce(by_day.orders, 0) as orders,
        coalesce(customers_by_day.customers, 0) as customers,
        coalesce(by_day.new_customers, 0) as new_customers,
        cast(coalesce(by_day.quantity, 0) as bigint) as quantity,
        cast(coalesce(by_day.gross_sales_amount, 0) as numeric(22, 2)) as gross_sales_amount,
        cast(coalesce(by_day.discount_amount, 0) as numeric(22, 2)) as discount_amount,
        cast(coalesce(by_day.net_sales_amount, 0) as numeric(22, 2)) as net_sales_amount,
        cast(coalesce(by_day.gst_amount, 0) as numeric(22, 2)) as gst_amount,
        cast(coalesce(by_day.delivery_charges, 0) as numeric(22, 2)) as delivery_charges,
        cast(coalesce(by_day.total_amount, 0) as numeric(22, 2)) as total_amount,
        cast(by_day.total_amount / by_day.orders as numeric(22, 2)) as avg_order_value
    from calendar
    inner join bounds on calendar.date_day between bounds.first_day and bounds.last_day
    left join by_day on calendar.date_day = by_day.order_date
    left join customers_by_day on calendar.date_day = customers_by_day.order_date

)

select * from final
