{% macro get_current_timestamp() -%}
    {{ return(adapter.dispatch('get_current_timestamp')()) }}
{%- endmacro %}

{% macro default__get_current_timestamp() -%}
    current_timestamp
{%- endmacro %}
