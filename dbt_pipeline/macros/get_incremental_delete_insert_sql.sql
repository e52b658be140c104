{#- dbt's own deletes by joining the whole table to the new rows, of which the planner knows nothing:
    it reads all history. Here each key is looked up in its index. -#}
{% macro postgres__get_incremental_delete_insert_sql(arg_dict) %}
    {{ return(get_incremental_rebuild_groups_sql(arg_dict)) }}
{% endmacro %}
