with

source as (

    select * from {{ source('ops', 'dbt_runs') }}

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
        result_count,
        failed_count,

        -- booleans
        is_full_refresh,

        -- times
        started_at,
        completed_at
    from source

)

select * from final
