{#- True for every date when the variable is empty: the as-of date is then after the newest sale. -#}
{% macro is_before_as_of(date_column) -%}
    {%- if var('as_of_date') -%}
        {{ date_column }} < cast('{{ var("as_of_date") }}' as date)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
