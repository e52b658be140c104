with

sales as (

    select * from {{ ref('fct_sales') }}

),

-- One transaction id can hold the lines of several customers, so it is not an order by itself.
-- Customers whom the customers file lacks stay apart by the id that the sales file gives.
orders as (

    select
        transaction_id,
        customer_id,
        source_customer_id,
        transaction_date as order_date,
        cast(count(*) as integer) as sale_lines,
        sum(quantity) as quantity,
        cast(sum(gross_sales_amount) as numeric(22, 2)) as gross_sales_amount,
        cast(sum(discount_amount) as numeric(22, 2)) as discount_amount,
        cast(sum(gross_sales_amount - discount_amount) as numeric(22, 2)) as net_sales_amount,
        cast(sum(gst_amount) as numeric(22, 2)) as gst_amount,
        cast(sum(delivery_charges) as numeric(22, 2)) as delivery_charges,
        cast(sum(total_amount) as numeric(22, 2)) as total_amount,
        max(processed_at) as processed_at
    from sales
    group by transaction_id, customer_id, source_customer_id, transaction_date

),

-- Sales have a day and no time. Transaction ids are counted up, and as texts '9999' would stand
-- after '10000': the shorter one is the earlier. "C" gives the same order on every server.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id
            order by order_date, length(transaction_id), transaction_id collate "C"
        ) as order_number
    from orders

),

final as (

    select
        -- ids
        {{ surrogate_key(['transaction_id', 'source_customer_id', 'order_date']) }} as order_id,
        transaction_id,
        customer_id,
        source_customer_id,

        -- times
        order_date,

        -- booleans
        order_number = 1 and customer_id <> '-1' as is_first_order,

        -- numbers
        sale_lines,
        quantity,
        gross_sales_amount,
        discount_amount,
        net_sales_amount,
        gst_amount,
        delivery_charges,
        total_amount,

        -- loader
        processed_at
    from ranked

)

select * from final
