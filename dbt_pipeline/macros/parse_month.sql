{% macro parse_month(text_column) -%}
    {{ return(adapter.dispatch('parse_month')(text_column)) }}
{%- endmacro %}

{% macro postgres__parse_month(text_column) -%}
    case
        when {{ text_column }} ~ '^\d{1,2}$' then cast({{ text_column }} as integer)
        else array_position(
            array[
                'jan', 'feb', 'mar', 'apr', 'may', 'jun',
                'jul', 'aug', 'sep', 'oct', 'nov', 'dec'
            ],
            lower(left({{ text_column }}, 3))
        )
    end
{%- endmacro %}
