{#- So many of the newest runs are set against the runs before them. -#}
{%- set recent_runs = 5 -%}

with

results as (

    select * from {{ ref('stg_dbt_run_results') }}

),

built as (

    select
        *,
        row_number() over (partition by node_id order by run_number desc) as runs_ago
    from results
    where
        resource_type in ('model', 'seed', 'snapshot')
        and not has_failed
        and not is_skipped

),

newest as (

    select *
    from built
    where runs_ago = 1

),

timed as (

    select
        node_id,
        count(*) as run_count,
        percentile_cont(0.5) within group (order by execution_seconds) as median_seconds,
        percentile_cont(0.95) within group (order by execution_seconds) as p95_seconds,
        max(execution_seconds) as max_seconds,
        percentile_cont(0.5) within group (order by execution_seconds) filter (
            where runs_ago <= {{ recent_runs }}
        ) as recent_median_seconds,
        percentile_cont(0.5) within group (order by execution_seconds) filter (
            where runs_ago > {{ recent_runs }}
        ) as earlier_median_seconds
    from built
    group by node_id

),

final as (

    select
        -- ids
        newest.node_id,

        -- text
        newest.node_name,
        newest.resource_type,

        -- numbers
        cast(rank() over (order by timed.median_seconds desc) as integer) as slowness_rank,
        cast(timed.run_count as integer) as run_count,
        cast(newest.execution_seconds as numeric(12, 3)) as last_seconds,
        cast(timed.median_seconds as numeric(12, 3)) as median_seconds,
        cast(timed.p95_seconds as numeric(12, 3)) as p95_seconds,
        cast(timed.max_seconds as numeric(12, 3)) as max_seconds,
        cast(
            timed.recent_median_seconds / nullif(timed.earlier_median_seconds, 0)
            as numeric(12, 3)
        ) as slowdown_rate,
        newest.rows_affected as last_rows_affected,

        -- times
        newest.completed_at as last_run_at
    from newest
    inner join timed on newest.node_id = timed.node_id

)

select * from final
