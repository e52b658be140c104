with

orders as (

    select * from {{ ref('fct_orders') }}

),

segments as (

    select * from {{ ref('rfm_segments') }}

),

totals as (

    select
        customer_id,
        max(order_date) as last_order_date,
        count(*) as orders,
        sum(total_amount) as total_amount
    from orders
    where {{ is_before_as_of('order_date') }}
    group by customer_id

),

-- Sales of unknown customers set the date as well: fct_customer_segments counts from the same one.
as_of as (

    select
        coalesce(
            cast(nullif('{{ var("as_of_date") }}', '') as date), max(last_order_date) + 1
        ) as as_of_date
    from totals

),

measured as (

    select
        totals.customer_id,
        as_of.as_of_date,
        as_of.as_of_date - totals.last_order_date as recency_days,
        cast(totals.orders as integer) as frequency,
        cast(totals.total_amount as numeric(22, 2)) as monetary
    from totals
    cross join as_of
    where totals.customer_id <> '-1'

),

scored as (

    {{ rfm_scored('measured') }}

),

final as (

    select
        -- ids
        scored.customer_id,

        -- times
        scored.as_of_date,

        -- numbers
        scored.recency_days,
        scored.frequency,
        scored.monetary,
        cast(scored.monetary / scored.frequency as numeric(22, 2)) as avg_order_value,
        scored.r_score,
        scored.f_score,
        scored.m_score,

        -- text
        segments.rfm_segment
    from scored
    -- A cell that the seed lacks must stop the build, not lose its customers.
    left join segments
        on
            scored.r_score = segments.r_score
            and scored.f_score = segments.f_score
            and scored.m_score = segments.m_score

)

select * from final
