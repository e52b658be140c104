-- Counted from the versions themselves, not from the movements.
with

balance as (

    select * from {{ ref('fct_segment_balance') }}

),

memberships as (

    select * from {{ ref('customer_segment_snapshot') }}

),

counted as (

    select
        balance.run_at,
        balance.segment_id,
        balance.opening_customers,
        balance.closing_customers,
        count(*) filter (
            where
            memberships.dbt_valid_from < balance.run_at
            and coalesce(memberships.dbt_valid_to >= balance.run_at, true)
        ) as customers_before,
        count(*) filter (
            where
            memberships.dbt_valid_from <= balance.run_at
            and coalesce(memberships.dbt_valid_to > balance.run_at, true)
        ) as customers_after
    from balance
    inner join memberships on balance.segment_id = memberships.segment_id
    group by
        balance.run_at,
        balance.segment_id,
        balance.opening_customers,
        balance.closing_customers

)

select *
from counted
where opening_customers <> customers_before or closing_customers <> customers_after
