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
