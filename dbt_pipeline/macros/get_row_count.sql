{% macro get_row_count(table_name) %}
    {%- set found = namespace(relation=none) -%}
    {%- for node in (graph.nodes.values() | list) + (graph.sources.values() | list) -%}
        {%- if node.name == table_name and node.resource_type in ['model', 'seed', 'snapshot', 'source'] -%}
            {%- set found.relation = api.Relation.create(
                database=node.database,
                schema=node.schema,
                identifier=node.identifier if node.resource_type == 'source' else node.alias
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if found.relation is none -%}
        {{ exceptions.raise_compiler_error(
            "get_row_count: no model, seed, snapshot or source is named '" ~ table_name ~ "'. "
            ~ "'dbt ls' lists them."
        ) }}
    {%- endif -%}
    {%- set row_count = run_query('select count(*) from ' ~ found.relation).columns[0][0] -%}
    {{ print(table_name ~ ': ' ~ row_count ~ ' rows') }}
    {{ return(row_count) }}
{% endmacro %}
