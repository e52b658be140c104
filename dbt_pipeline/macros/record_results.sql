{% macro record_results(results) %}
    {{ return(adapter.dispatch('record_results')(results)) }}
{% endmacro %}

{#- One block, so one transaction: a dbt that is killed leaves a whole run or nothing. An empty or
    sampled run is left out: its times and rows say nothing about the models. -#}
{% macro postgres__record_results(results) %}
    {%- if execute and results and not flags.EMPTY and not flags.SAMPLE %}
    {%- set statements -%}
        -- One writer at a time, or two would count the same run number.
        perform pg_advisory_xact_lock(hashtext('ops.dbt_run_results'));

        insert into ops.dbt_runs
        select *
        from json_to_record($json${{ run_facts(results) }}$json$) as run (
            invocation_id text, command text, target text, dbt_version text,
            is_full_refresh boolean, result_count integer, failed_count integer,
            started_at timestamptz, completed_at timestamptz
        );

        insert into ops.dbt_run_results
        select
            result.node_id,
            coalesce(last.run_number, 0) + 1,
            '{{ invocation_id }}',
            result.name,
            result.resource_type,
            result.version_hash,
            result.status,
            last.status is distinct from result.status,
            result.message,
            result.execution_seconds,
            result.rows_affected,
            result.failures,
            result.started_at,
            coalesce(result.completed_at, now())
        from json_to_recordset($json${{ result_facts(results) }}$json$) as result (
            node_id text, name text, resource_type text, version_hash text, status text,
            message text, execution_seconds numeric, rows_affected bigint, failures integer,
            started_at timestamptz, completed_at timestamptz
        )
        left join lateral (
            select run_number, status
            from ops.dbt_run_results
            where node_id = result.node_id
            order by run_number desc
            limit 1
        ) as last on true;

        {{ forget_old_results() }}
    {%- endset -%}
    {{ return(write_ops(statements)) }}
    {%- endif %}
{% endmacro %}
