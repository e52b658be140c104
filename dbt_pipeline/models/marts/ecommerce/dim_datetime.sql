with

sales as (

    select * from {{ ref('int_sale_lines') }}

),

spend as (

    select * from {{ ref('stg_marketing_spend') }}

),

prices as (

    select * from {{ ref('stg_bitcoin') }}

),

news as (

    select * from {{ ref('stg_news') }}

),

pos_sales as (

    select * from {{ ref('stg_transactions') }}

),

pos_refunds as (

    select * from {{ ref('stg_refunds') }}

),

account_movements as (

    select * from {{ ref('stg_account_transactions') }}

),

bounds as (

    select min(transaction_date) as first_day, max(transaction_date) as last_day from sales

    union all

    select min(spend_date) as first_day, max(spend_date) as last_day from spend

    -- Of streams the times: an index has the smallest and the largest at hand, as of sale lines.
    {%- for events in ('prices', 'news', 'pos_sales', 'pos_refunds', 'account_movements') %}

    union all

    select
        cast(min(event_timestamp) at time zone 'UTC' as date) as first_day,
        cast(max(event_timestamp) at time zone 'UTC' as date) as last_day
    from {{ events }}
    {%- endfor %}

),

years as (

    select
        date_trunc('year', min(first_day)) as first_day,
        date_trunc('year', max(last_day)) + interval '1 year' - interval '1 day' as last_day
    from bounds

),

days as (

    select cast(day_series.moment as date) as date_day
    from years
    cross join lateral generate_series(years.first_day, years.last_day, interval '1 day')
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
