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

{#- One change of the table for all its not-null columns: it is read once. -#}
{% macro contract_not_nulls() -%}
    {%- set columns = [] -%}
    {%- for column in model['columns'].values() -%}
        {%- for constraint in column.constraints or [] -%}
            {%- if constraint.type != 'not_null' -%}
                {{ exceptions.raise_compiler_error(
                    'Column ' ~ column.name ~ ' has a constraint of type ' ~ constraint.type
                    ~ ': only not_null stands at a column; put others at the model'
                ) }}
            {%- endif -%}
            {%- do columns.append('alter column ' ~ adapter.quote(column.name) ~ ' set not null') -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return([columns | join(', ')] if columns else []) }}
{%- endmacro %}
