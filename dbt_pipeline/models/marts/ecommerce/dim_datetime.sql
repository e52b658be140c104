with

bounds as (

    select * from {{ ref('int_calendar_bounds') }}

),

days as (

    select cast(day_series.moment as date) as date_day
    from bounds
    cross join lateral generate_series(bounds.first_day, bounds.last_day, interval '1 day')
        as day_series (moment)

),

final as (

    select
        date_day,
        cast(extract(year from date_day) as integer) as year,
        cast(extract(quarter from date_day) as integer) as quarter,
        cast(extract(month from date_day) as integer) as month,
        to_char(date_day, 'FMMonth') as month_name,
        to_char(date_day, 'YYYY-MM') as year_month,
        cast(extract(week from date_day) as integer) as iso_week,
        cast(extract(day from date_day) as integer) as day,
        cast(extract(isodow from date_day) as integer) as day_of_week,
        to_char(date_day, 'FMDay') as day_name,
        cast(extract(doy from date_day) as integer) as day_of_year,
        extract(isodow from date_day) >= 6 as is_weekend
    from days

)

select * from final
