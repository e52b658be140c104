{#- Where the event of a row lies now, and where it lay as long as another arrival of it counted. -#}
{% macro event_times(rows) -%}
    lateral (
        select {{ rows }}.event_timestamp as event_at
        union all
        select lower(moment.at) as event_at
        from unnest({{ rows }}._other_event_times) as moment (at)
    )
{%- endmacro %}
