with

versions as (

    select * from {{ ref('customer_snapshot') }}

),

ordered as (

    select
        customer_id,
        dbt_valid_from,
        dbt_valid_to,
        lead(dbt_valid_from) over (
            partition by customer_id order by dbt_valid_from
        ) as next_valid_from
    from versions

)

select customer_id, dbt_valid_from, dbt_valid_to, next_valid_from
from ordered
where
    dbt_valid_to <= dbt_valid_from
    or (next_valid_from is not null and (dbt_valid_to is null or dbt_valid_to > next_valid_from))
