with

results as (

    select * from {{ ref('stg_dbt_run_results') }}

),

-- A row stands for its own run and for those after it that are not kept.
counted as (

    select
        *,
        lead(run_number, 1, run_number + 1) over (
            partition by node_id order by run_number
        ) - run_number as runs
    from results
    where resource_type in ('test', 'unit_test')

),

followed as (

    select
        *,
        lag(has_failed, 1, has_failed) over (
            partition by node_id order by run_number
        ) <> has_failed as is_flip,
        row_number() over (partition by node_id order by run_number desc) as runs_ago,
        row_number() over (
            partition by node_id, has_failed order by run_number desc
        ) as runs_ago_with_outcome
    from counted
    where not is_skipped

),

newest as (

    select *
    from followed
    where runs_ago = 1

),

last_failed as (

    select *
    from followed
    where has_failed and runs_ago_with_outcome = 1

),

summed as (

    select
        node_id,
        cast(sum(runs) as numeric) as run_count,
        coalesce(sum(runs) filter (where has_failed), 0) as failed_run_count,
        count(*) filter (where is_flip) as flip_count
    from followed
    group by node_id

),

rated as (

    select
        *,
        failed_run_count / run_count as failed_share,
        coalesce(flip_count / nullif(run_count - 1, 0), 0) as flip_share
    from summed

),

final as (

    select
        -- ids
        rated.node_id,

        -- text
        newest.node_name,
        newest.resource_type,
        newest.status as last_status,
        last_failed.message as last_failure_message,

        -- numbers
        cast(
            rank() over (order by rated.flip_share desc, rated.flip_count desc) as integer
        ) as flakiness_rank,
        cast(rated.run_count as integer) as run_count,
        cast(rated.failed_run_count as integer) as failed_run_count,
        cast(rated.flip_count as integer) as flip_count,
        cast(rated.failed_share as numeric(7, 6)) as failed_share,
        cast(rated.flip_share as numeric(7, 6)) as flip_share,
        last_failed.failures as last_failure_row_count,

        -- times
        last_failed.completed_at as last_failed_at,
        newest.completed_at as last_run_at
    from rated
    inner join newest on rated.node_id = newest.node_id
    left join last_failed on rated.node_id = last_failed.node_id

)

select * from final
