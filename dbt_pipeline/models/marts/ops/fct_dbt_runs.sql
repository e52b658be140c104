with

runs as (

    select * from {{ ref('stg_dbt_runs') }}

),

final as (

    select
        -- ids
        invocation_id,

        -- text
        command,
        target,
        dbt_version,

        -- numbers
        cast(extract(epoch from completed_at - started_at) as numeric(12, 3)) as run_seconds,
        result_count,
        failed_count,

        -- booleans
        is_full_refresh,
        failed_count = 0 as is_clean,

        -- times
        started_at,
        completed_at
    from runs

)

select * from final
