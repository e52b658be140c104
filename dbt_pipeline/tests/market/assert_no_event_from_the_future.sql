-- A day of grace for a source whose clock runs ahead.
with

prices as (

    select * from {{ ref('stg_bitcoin') }}

),

news as (

    select * from {{ ref('stg_news') }}

),

events as (

    select id, event_timestamp from prices

    union all

    select id, event_timestamp from news

)

select id, event_timestamp
from events
where event_timestamp > {{ get_current_timestamp() }} + interval '1 day'
