{% macro surrogate_key(expressions) -%}
    {#- Each part is written with its length before it: ('a', 'b-c') and ('a-b', 'c') differ,
        and a NULL ('-') differs from an empty text ('0:'). -#}
    md5(
        {%- for expression in expressions %}
        coalesce(length(cast({{ expression }} as text)) || ':' || cast({{ expression }} as text), '-')
        {%- if not loop.last %} || {% endif %}
        {%- endfor %}
    )
{%- endmacro %}
