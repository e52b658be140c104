with

-- Not materialized: it is read twice, and a copy of it would go to disk first.
all_sales as not materialized (

    select * from {{ ref('stg_transactions') }}

),

refunds as (

    select * from {{ ref('stg_refunds') }}

),

segments as (

    select * from {{ ref('rfm_segments') }}

),

sales as not materialized (

    select * from all_sales
    where {{ is_before_as_of('event_date') }}

),

-- The tills know no baskets: what a customer buys on one day is one order. Sums of days first would
-- take almost three times as long as count(distinct).
totals as (

    select
        customer_id,
        max(event_date) as last_order_date,
        count(distinct event_date) as orders,
        sum(amount) as gross_amount
    from sales
    group by customer_id

),

as_of as (

    select
        coalesce(
            cast(nullif('{{ var("as_of_date") }}', '') as date), max(last_order_date) + 1
        ) as as_of_date
    from totals

),

-- By the customer of the sale: who brings the goods back need not be who bought them, and what was
-- given back for a sale that has not arrived was never counted.
given_back as (

    select
        sales.customer_id,
        sum(refunds.refund_amount) as refund_amount
    from refunds
    inner join sales on refunds.original_transaction_id = sales.transaction_id
    cross join as_of
    where refunds.event_date < as_of.as_of_date
    group by sales.customer_id

),

measured as (

    select
        totals.customer_id,
        as_of.as_of_date,
        as_of.as_of_date - totals.last_order_date as recency_days,
        cast(totals.orders as integer) as frequency,
        cast(totals.gross_amount as numeric(22, 2)) as gross_amount,
        cast(coalesce(given_back.refund_amount, 0) as numeric(22, 2)) as refund_amount,
        cast(
            totals.gross_amount - coalesce(given_back.refund_amount, 0) as numeric(22, 2)
        ) as monetary
    from totals
    cross join as_of
    left join given_back on totals.customer_id = given_back.customer_id

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
        scored.gross_amount,
        scored.refund_amount,
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
