{#- "offset 0" fences the query off, as in lookup. -#}
{% macro events_during(events, keys, start, period, columns=[]) -%}
    lateral (
        select *
        from {{ events }} as looked_up
        where
            {%- for column in columns %}
            looked_up.{{ column }} = {{ keys }}.{{ column }} and
            {%- endfor %}
            looked_up.event_timestamp >= {{ keys }}.{{ start }}
            and looked_up.event_timestamp < {{ keys }}.{{ start }} + interval '{{ period }}'
        offset 0
    )
{%- endmacro %}
