with

days as (

    select * from {{ ref('dim_datetime') }}

),

extent as (

    select
        min(date_day) as first_day,
        max(date_day) as last_day,
        count(*) as day_count
    from days

)

select first_day, last_day, day_count
from extent
where
    day_count <> last_day - first_day + 1
    or to_char(first_day, 'MM-DD') <> '01-01'
    or to_char(last_day, 'MM-DD') <> '12-31'
