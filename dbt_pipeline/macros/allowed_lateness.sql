{% macro allowed_lateness() -%}
    make_interval(mins => {{ var('allowed_lateness_minutes') | int }})
{%- endmacro %}
