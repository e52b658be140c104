{#- source_<column> holds the member as its stream names it. -#}
{% macro now_known(published, keys, dimensions) -%}
    {%- for column, dimension in dimensions.items() %}
    {{ 'union\n' if not loop.first }}
    select {{ keys | join(', ') }}
    from {{ published }} as standing
    where
        standing.{{ column }} = '-1'
        and standing.source_{{ column }} <> '-1'
        and standing.source_{{ column }} in (
            select members.{{ column }} from {{ dimension }} as members
        )
    {%- endfor %}
{%- endmacro %}
