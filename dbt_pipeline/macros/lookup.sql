{#- "offset 0" fences the query off: without it the planner, which cannot know how few keys there
    are, joins by scanning the whole relation instead of going through its index for each key. -#}
{% macro lookup(relation, keys, columns=['_partition_id', '_offset']) -%}
    lateral (
        select *
        from {{ relation }} as looked_up
        where
            {%- for column in columns %}
            {%- set key = columns[column] if columns is mapping else column %}
            {{ 'and ' if not loop.first }}looked_up.{{ column }} = {{ keys }}.{{ key }}
            {%- endfor %}
        offset 0
    )
{%- endmacro %}
