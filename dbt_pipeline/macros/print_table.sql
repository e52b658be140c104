{% macro print_table(result) %}
    {%- set headings = result.column_names | list -%}
    {%- set lines = [headings] -%}
    {%- for row in result.rows -%}
        {%- set cells = [] -%}
        {%- for value in row.values() -%}
            {%- do cells.append('' if value is none else value | string) -%}
        {%- endfor -%}
        {%- do lines.append(cells) -%}
    {%- endfor -%}
    {%- set widths = [] -%}
    {%- for position in range(headings | length) -%}
        {%- do widths.append(lines | map(attribute=position) | map('length') | max) -%}
    {%- endfor -%}
    {%- for cells in lines -%}
        {%- set padded = [] -%}
        {%- for cell in cells -%}
            {%- do padded.append(cell.ljust(widths[loop.index0])) -%}
        {%- endfor -%}
        {{ print((padded | join(' | ')).rstrip()) }}
        {%- if loop.first -%}
            {%- set rules = [] -%}
            {%- for width in widths -%}{%- do rules.append('-' * width) -%}{%- endfor -%}
            {{ print(rules | join('-+-')) }}
        {%- endif -%}
    {%- endfor -%}
    {{ print('(1 row)' if lines | length == 2 else '(' ~ (lines | length - 1) ~ ' rows)') }}
{% endmacro %}
