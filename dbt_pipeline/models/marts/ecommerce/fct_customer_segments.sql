with

customers as (

    select * from {{ ref('dim_customer') }}

),

sales as (

    select * from {{ ref('fct_sales') }}

),

memberships as (

    select * from {{ ref('int_customer_segments') }}

),

as_of as (

    select
        coalesce(
            cast(nullif('{{ var("as_of_date") }}', '') as date), max(transaction_date) + 1
        ) as as_of_date
    from sales

),

orders as (

    select
        customer_id,
        count(distinct transaction_id) as total_orders,
        sum(total_amount) as total_revenue,
        min(transaction_date) as first_purchase_date,
        max(transaction_date) as last_purchase_date,
        max(processed_at) as processed_at
    from sales
    where {{ is_before_as_of('transaction_date') }}
    group by customer_id

),

joined as (

    select
        customers.customer_id,
        customers.location,
        customers.gender,
        customers.customer_tenure_months,
        memberships.segment_id,
        memberships.segment_name,
        cast(coalesce(orders.total_orders, 0) as integer) as total_orders,
        cast(coalesce(orders.total_revenue, 0) as numeric(22, 2)) as total_revenue,
        orders.first_purchase_date,
        orders.last_purchase_date,
        as_of.as_of_date - orders.last_purchase_date as days_since_last_purchase,
        cast(orders.total_revenue / orders.total_orders as numeric(22, 2)) as avg_order_value,
        greatest(customers.loaded_at, orders.processed_at) as updated_at
    from customers
    -- It has every customer, but not the unknown member.
    inner join memberships on customers.customer_id = memberships.customer_id
    cross join as_of
    left join orders on customers.customer_id = orders.customer_id

),

final as (

    select
        customer_id,
        location,
        gender,
        customer_tenure_months,
        segment_id,
        segment_name,
        total_orders,
        total_revenue,
        first_purchase_date,
        last_purchase_date,
        days_since_last_purchase,
        avg_order_value,
        case
            when days_since_last_purchase <= 30 then 'Active'
            when days_since_last_purchase <= 90 then 'Recent'
            when days_since_last_purchase <= 180 then 'Dormant'
            else 'Inactive'
        end as activity_status,
        updated_at
    from joined

)

select * from final
