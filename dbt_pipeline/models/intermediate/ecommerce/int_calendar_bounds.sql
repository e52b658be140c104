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

final as (

    select
        cast(date_trunc('year', min(first_day)) as date) as first_day,
        cast(
            date_trunc('year', max(last_day)) + interval '1 year' - interval '1 day' as date
        ) as last_day
    from bounds

)

select * from final
