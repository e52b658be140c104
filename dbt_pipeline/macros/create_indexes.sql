{#- dbt calls it for a table that is just filled. The keys of a contract are added here, not in the
    statement that fills the table: dbt reports the rows of its last part. -#}
{% macro postgres__create_indexes(relation) -%}
    {%- set contract = config.get('contract') -%}
    {%- if contract and contract.enforced -%}
        {%- for key in adapter.render_raw_model_constraints(raw_constraints=model['constraints']) -%}
            {%- do run_query('alter table ' ~ relation ~ ' add ' ~ key) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- do default__create_indexes(relation) -%}
{%- endmacro %}
