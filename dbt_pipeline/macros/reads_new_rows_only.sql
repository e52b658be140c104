{#- False for 'dbt show' and 'dbt compile' outside a run, which have no pending rows to read. -#}
{% macro reads_new_rows_only() -%}
    {{ return(is_incremental() and flags.WHICH not in ['show', 'compile']) }}
{%- endmacro %}
