{% macro minute_of(timestamp_column) -%}
    date_bin('1 minute', {{ timestamp_column }}, timestamptz '2000-01-01 00:00:00+00')
{%- endmacro %}
