{% macro forget_old_results() %}
    {{ return(adapter.dispatch('forget_old_results')()) }}
{% endmacro %}

{#- Kept are the newest results of each node, and before them those at which its status changed.
    run_number tells how often the status in between was the same: nothing that the marts count is
    lost with the rows. -#}
{% macro postgres__forget_old_results() %}
        delete from ops.dbt_run_results as old
        using ops.dbt_run_results as newest
        where newest.invocation_id = '{{ invocation_id }}'
            and old.node_id = newest.node_id
            and old.run_number <= newest.run_number - {{ var('ops_results_a_node') | int }}
            and not old.is_change;

        delete from ops.dbt_run_results as old
        where old.is_change
            and old.completed_at < now() - interval '{{ var('ops_days_of_changes') | int }} days'
            and exists (
                select from ops.dbt_run_results as newer
                where newer.node_id = old.node_id
                    and newer.run_number = old.run_number + {{ var('ops_results_a_node') | int }}
            );

        delete from ops.dbt_runs as old
        where old.completed_at < now() - interval '1 day'
            and not exists (
                select from ops.dbt_run_results as kept
                where kept.invocation_id = old.invocation_id
            );
{% endmacro %}
