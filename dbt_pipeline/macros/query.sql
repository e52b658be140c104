{% macro query(sql) %}
    {#- A shell takes ref(''x'') inside single quotes for ref(x): the name is quoted anew. -#}
    {%- set quote = '[\'"]*' -%}
    {%- set name = '\\s*' ~ quote ~ '(\\w+)' ~ quote ~ '\\s*' -%}
    {%- set sql = modules.re.sub('\\{\\{\\s*ref\\(' ~ name ~ '\\)', "{{ ref('\\1')", sql) -%}
    {%- set sql = modules.re.sub(
        '\\{\\{\\s*source\\(' ~ name ~ ',' ~ name ~ '\\)', "{{ source('\\1', '\\2')", sql
    ) -%}
    {%- do run_query('begin transaction read only') -%}
    {%- set result = run_query(render(sql)) -%}
    {%- do run_query('rollback') -%}
    {%- if result is none or result.columns | length == 0 -%}
        {{ exceptions.raise_compiler_error('query: the statement returns no columns.') }}
    {%- endif -%}
    {{ print_table(result) }}
{% endmacro %}
