with

windows as (

    select * from {{ ref('fct_product_metrics_minute') }}

),

sales as (

    select * from {{ ref('fct_pos_transactions') }}

),

by_window as (

    select
        cast(window_start at time zone 'UTC' as date) as date_day,
        product_id,
        sum(total_revenue) as revenue,
        sum(transaction_count) as sale_count
    from windows
    group by cast(window_start at time zone 'UTC' as date), product_id

),

by_sale as (

    select
        date_day,
        source_product_id as product_id,
        sum(amount) as revenue,
        count(*) as sale_count
    from sales
    group by date_day, source_product_id

)

select
    coalesce(by_window.date_day, by_sale.date_day) as date_day,
    coalesce(by_window.product_id, by_sale.product_id) as product_id,
    by_window.revenue as window_revenue,
    by_sale.revenue as sale_revenue
from by_window
full outer join by_sale
    on
        by_window.date_day = by_sale.date_day
        and by_window.product_id = by_sale.product_id
where
    by_window.revenue is distinct from by_sale.revenue
    or by_window.sale_count is distinct from by_sale.sale_count
