{% macro decode_html_entities(text_column) -%}
    {#- The ampersand comes last: '&amp;lt;' stands for the text '&lt;', not for '<'. -#}
    {%- set entities = [
        ('&quot;', '"'), ('&#34;', '"'),
        ('&apos;', "''"), ('&#39;', "''"), ('&#039;', "''"),
        ('&lt;', '<'), ('&gt;', '>'),
        ('&nbsp;', ' '), ('&#160;', ' '),
        ('&ndash;', '–'), ('&mdash;', '—'),
        ('&lsquo;', '‘'), ('&rsquo;', '’'),
        ('&trade;', '™'), ('&reg;', '®'), ('&copy;', '©'),
        ('&#38;', '&'), ('&amp;', '&')
    ] -%}
    {%- set ns = namespace(expression=text_column) -%}
    {%- for entity, character in entities -%}
        {%- set ns.expression = "replace(" ~ ns.expression ~ ", '" ~ entity ~ "', '" ~ character ~ "')" -%}
    {%- endfor -%}
    {#- Most texts have none: looking once is cheaper than replacing eighteen times. -#}
    case when {{ text_column }} like '%&%' then {{ ns.expression }} else {{ text_column }} end
{%- endmacro %}
