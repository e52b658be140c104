-- Models that looked back over a fixed time would leave out what comes later than that. These take
-- up an event however late it is: every staged event counts in its day, the late ones too.
with

lateness as (

    select * from {{ ref('fct_stream_lateness') }}

),

prices as (

    select * from {{ ref('stg_bitcoin') }}

),

news as (

    select * from {{ ref('stg_news') }}

),

sales as (

    select * from {{ ref('stg_transactions') }}

),

refunds as (

    select * from {{ ref('stg_refunds') }}

),

movements as (

    select * from {{ ref('stg_account_transactions') }}

),

events as (

    select 'bitcoin-prices' as stream, event_date, event_timestamp, _watermark from prices

    union all

    select 'news-events' as stream, event_date, event_timestamp, _watermark from news

    union all

    select 'transactions' as stream, event_date, event_timestamp, _watermark from sales

    union all

    select 'refunds' as stream, event_date, event_timestamp, _watermark from refunds

    union all

    select 'account-transactions' as stream, event_date, event_timestamp, _watermark
    from movements

),

expected as (

    select
        stream,
        event_date as date_day,
        count(*) as event_count,
        count(*) filter (
            where _watermark > event_timestamp + {{ allowed_lateness() }}
        ) as late_event_count
    from events
    group by stream, event_date

)

select
    coalesce(lateness.stream, expected.stream) as stream,
    coalesce(lateness.date_day, expected.date_day) as date_day,
    lateness.event_count,
    expected.event_count as staged_event_count
from lateness
full outer join expected
    on
        lateness.stream = expected.stream
        and lateness.date_day = expected.date_day
where
    lateness.event_count is distinct from expected.event_count
    or lateness.late_event_count is distinct from expected.late_event_count
