-- The lookback of the windows covers the lateness of the stream: a sale that is late by more than
-- the allowed lateness and the window's own minute is counted as late in its window, and none that
-- is late by less than the allowed lateness is.
with

windows as (

    select * from {{ ref('fct_product_metrics_minute') }}

),

sales as (

    select * from {{ ref('stg_transactions') }}

),

late_by_window as (

    select
        cast(window_start at time zone 'UTC' as date) as date_day,
        sum(late_transaction_count) as late_count
    from windows
    group by cast(window_start at time zone 'UTC' as date)

),

late_by_sale as (

    select
        event_date as date_day,
        count(*) filter (
            where _watermark - event_timestamp > {{ allowed_lateness() }}
        ) as most,
        count(*) filter (
            where _watermark - event_timestamp > {{ allowed_lateness() }} + interval '1 minute'
        ) as least
    from sales
    group by event_date

)

select
    coalesce(late_by_window.date_day, late_by_sale.date_day) as date_day,
    late_by_window.late_count,
    late_by_sale.least,
    late_by_sale.most
from late_by_window
full outer join late_by_sale on late_by_window.date_day = late_by_sale.date_day
where (late_by_window.late_count between late_by_sale.least and late_by_sale.most) is not true
