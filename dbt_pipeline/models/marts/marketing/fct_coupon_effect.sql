with

sales as (

    select * from {{ ref('fct_sales') }}

),

-- Not materialized: it is read more than once, and a copy of it would go to disk first.
sales_of_months as not materialized (

    select
        *,
        cast(date_trunc('month', cast(transaction_date as timestamp)) as date) as date_month
    from sales

),

sums as (

    select
        date_month,
        product_category,
        coupon_status,
        count(*) as sale_lines,
        sum(quantity) as quantity,
        sum(gross_sales_amount) as gross_sales_amount,
        sum(discount_amount) as discount_amount,
        sum(gross_sales_amount - discount_amount) as net_sales_amount,
        sum(total_amount) as total_amount
    from sales_of_months
    group by date_month, product_category, coupon_status

),

-- Orders and customers are counted apart from the sums, each from its own narrow distinct rows:
-- count(distinct) would sort all lines with all their amounts, and in one thread.
order_keys as (

    select distinct
        date_month,
        product_category,
        coupon_status,
        transaction_id,
        source_customer_id,
        transaction_date
    from sales_of_months

),

order_counts as (

    select
        date_month,
        product_category,
        coupon_status,
        count(*) as orders
    from order_keys
    group by date_month, product_category, coupon_status

),

customer_keys as (

    select distinct
        date_month,
        product_category,
        coupon_status,
        customer_id
    from sales_of_months
    where customer_id <> '-1'

),

customer_counts as (

    select
        date_month,
        product_category,
        coupon_status,
        count(*) as customers
    from customer_keys
    group by date_month, product_category, coupon_status

),

joined as (

    select
        sums.*,
        order_counts.orders,
        coalesce(customer_counts.customers, 0) as customers,
        sum(sums.sale_lines) over (
            partition by sums.date_month, sums.product_category
        ) as lines_of_all_statuses
    from sums
    inner join order_counts
        on
            sums.date_month = order_counts.date_month
            and sums.product_category = order_counts.product_category
            and sums.coupon_status = order_counts.coupon_status
    left join customer_counts
        on
            sums.date_month = customer_counts.date_month
            and sums.product_category = customer_counts.product_category
            and sums.coupon_status = customer_counts.coupon_status

),

final as (

    select
        -- times
        date_month,

        -- text
        product_category,
        coupon_status,

        -- numbers
        sale_lines,
        cast(sale_lines / lines_of_all_statuses as numeric(6, 4)) as sale_lines_share,
        orders,
        customers,
        quantity,
        cast(gross_sales_amount as numeric(22, 2)) as gross_sales_amount,
        cast(discount_amount as numeric(22, 2)) as discount_amount,
        cast(net_sales_amount as numeric(22, 2)) as net_sales_amount,
        cast(total_amount as numeric(22, 2)) as total_amount,
        cast(total_amount / sale_lines as numeric(22, 2)) as avg_line_value,
        cast(total_amount / orders as numeric(22, 2)) as avg_order_value
    from joined

)

select * from final
