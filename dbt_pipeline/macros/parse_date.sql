{% macro parse_date(text_column) -%}
    {{ return(adapter.dispatch('parse_date')(text_column)) }}
{%- endmacro %}

{% macro postgres__parse_date(text_column) -%}
    case
        when {{ text_column }} ~ '^\d{8}$' then to_date({{ text_column }}, 'YYYYMMDD')
        when {{ text_column }} ~ '^\d{4}-\d{2}-\d{2}$' then to_date({{ text_column }}, 'YYYY-MM-DD')
        when {{ text_column }} ~ '^\d{1,2}/\d{1,2}/\d{4}$'
            then to_date({{ text_column }}, 'MM/DD/YYYY')
    end
{%- endmacro %}
