with

source as (

    select * from {{ source('ops', 'dbt_run_results') }}

),

final as (

    select
        -- ids
        node_id,
        run_number,
        invocation_id,
        version_hash,

        -- text
        name as node_name,
        resource_type,
        status,
        message,

        -- numbers
        execution_seconds,
        rows_affected,
        failures,

        -- booleans
        is_change,
        status in ('warn', 'fail', 'error', 'runtime error', 'partial success') as has_failed,
        status in ('skipped', 'no-op') as is_skipped,

        -- times
        started_at,
        completed_at
    from source

)

select * from final
