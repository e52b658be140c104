{#- JSON of the row in ops.dbt_runs. Neither variables nor other arguments: they may hold secrets. -#}
{% macro run_facts(results) %}
    {%- set failed = results | selectattr('status', 'in', ['error', 'fail', 'runtime error']) -%}
    {{ return(json_in_dollars({
        'invocation_id': invocation_id,
        'command': flags.WHICH,
        'target': target.name,
        'dbt_version': dbt_version,
        'is_full_refresh': flags.FULL_REFRESH | default(false, true),
        'result_count': results | length,
        'failed_count': failed | list | length,
        'started_at': run_started_at.isoformat(),
        'completed_at': modules.datetime.datetime.now(modules.pytz.utc).isoformat(),
    })) }}
{% endmacro %}
