-- A day of grace for a source whose clock runs ahead.
with

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

    select id, event_timestamp from prices

    union all

    select id, event_timestamp from news

    union all

    select transaction_id as id, event_timestamp from sales

    union all

    select refund_id as id, event_timestamp from refunds

    union all

    select transaction_id as id, event_timestamp from movements

)

select id, event_timestamp
from events
where event_timestamp > {{ get_current_timestamp() }} + interval '1 day'
