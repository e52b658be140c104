{% macro calendar_parts(timestamp_column) -%}
    {{ return(adapter.dispatch('calendar_parts')(timestamp_column)) }}
{%- endmacro %}

{#- In UTC whatever the time zone of the session is. -#}
{% macro postgres__calendar_parts(timestamp_column) -%}
    {%- set moment = timestamp_column ~ " at time zone 'UTC'" -%}
    cast({{ moment }} as date) as event_date,
        cast(extract(year from {{ moment }}) as integer) as event_year,
        cast(extract(month from {{ moment }}) as integer) as event_month,
        cast(extract(day from {{ moment }}) as integer) as event_day,
        cast(extract(hour from {{ moment }}) as integer) as event_hour,
        cast(extract(isodow from {{ moment }}) as integer) as event_day_of_week,
        extract(isodow from {{ moment }}) >= 6 as is_weekend
{%- endmacro %}
