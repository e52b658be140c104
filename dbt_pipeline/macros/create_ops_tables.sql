{% macro create_ops_tables() %}
    {{ return(adapter.dispatch('create_ops_tables')()) }}
{% endmacro %}

{#- Runs before every command, because the staging views of ops are built before the first results
    are written. -#}
{% macro postgres__create_ops_tables() %}
    {%- set statements -%}
        if to_regclass('ops.dbt_run_results') is not null then
            return;
        end if;
        -- Two dbt at once make the tables at once; without the lock one of them fails.
        perform pg_advisory_xact_lock(hashtext('ops.dbt_run_results'));
        -- Asked first: a role that may not create schemas is refused even when it exists.
        if to_regnamespace('ops') is null then
            create schema ops;
        end if;
        create table if not exists ops.dbt_runs (
            invocation_id text primary key,
            command text not null,
            target text not null,
            dbt_version text not null,
            is_full_refresh boolean not null,
            result_count integer not null,
            failed_count integer not null,
            started_at timestamptz not null,
            completed_at timestamptz not null
        );
        create index if not exists dbt_runs_by_completion on ops.dbt_runs (completed_at);
        create table if not exists ops.dbt_run_results (
            node_id text,
            run_number bigint,
            invocation_id text not null,
            name text not null,
            resource_type text not null,
            version_hash text,
            status text not null,
            is_change boolean not null,
            message text,
            execution_seconds numeric(12, 3) not null,
            rows_affected bigint,
            failures integer,
            started_at timestamptz,
            completed_at timestamptz not null,
            primary key (node_id, run_number)
        );
        -- What is to be removed is found by these without a look at what stays.
        create index if not exists dbt_run_results_unchanged
            on ops.dbt_run_results (node_id, run_number) where not is_change;
        create index if not exists dbt_run_results_changed
            on ops.dbt_run_results (completed_at) where is_change;
        create index if not exists dbt_run_results_of_a_run
            on ops.dbt_run_results (invocation_id);
    {%- endset -%}
    {{ return(write_ops(statements)) }}
{% endmacro %}
