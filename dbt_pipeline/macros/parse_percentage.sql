{% macro parse_percentage(text_column) -%}
    {{ return(adapter.dispatch('parse_percentage')(text_column)) }}
{%- endmacro %}

{% macro postgres__parse_percentage(text_column) -%}
    case
        when {{ text_column }} ~ '^\d+(\.\d+)?\s*%$'
            then cast(rtrim({{ text_column }}, ' %') as numeric) / 100
        when {{ text_column }} ~ '^\d+(\.\d+)?$' and cast({{ text_column }} as numeric) >= 1
            then cast({{ text_column }} as numeric) / 100
        when {{ text_column }} ~ '^\d*\.?\d+$' then cast({{ text_column }} as numeric)
    end
{%- endmacro %}
