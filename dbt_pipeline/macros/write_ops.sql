{% macro write_ops(statements) %}
    {{ return(adapter.dispatch('write_ops')(statements)) }}
{% endmacro %}

{#- The block takes its own error back, so that books that cannot be written (a role without the
    right, a read-only database, a lock held too long) never fail a build; they warn. -#}
{% macro postgres__write_ops(statements) %}
    {%- if execute %}
    {%- set block %}
        begin;
        do $ops$
        begin
            perform set_config('lock_timeout', '5s', true);
            perform set_config('insight.ops_error', '', false);
            {{ statements }}
        exception when others then
            perform set_config('insight.ops_error', sqlerrm, false);
        end
        $ops$;
        commit;
        select current_setting('insight.ops_error', true) as error;
    {%- endset %}
    {%- set error = run_query(block)[0]['error'] %}
    {%- if error %}
        {%- do exceptions.warn('The results of this run are not kept in ops: ' ~ error) %}
    {%- endif %}
    {%- endif %}
{% endmacro %}
