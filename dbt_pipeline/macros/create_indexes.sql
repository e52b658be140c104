{#- dbt calls it for a table that is just filled. The constraints of a contract are added here, not in
    the statement that fills the table: dbt reports the rows of its last part. -#}
{% macro postgres__create_indexes(relation) -%}
    {%- set contract = config.get('contract') -%}
    {%- if contract and contract.enforced -%}
        {%- set demands = contract_not_nulls() -%}
        {%- for key in adapter.render_raw_model_constraints(raw_constraints=model['constraints']) -%}
            {%- do demands.append('add ' ~ key) -%}
        {%- endfor -%}
        {%- for demand in demands -%}
            {%- do run_query('alter table ' ~ relation ~ ' ' ~ demand) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- do default__create_indexes(relation) -%}
{%- endmacro %}
