{% macro expected_catalogue(results) %}
    {%- set kinds = {'table': 'r', 'incremental': 'r', 'seed': 'r', 'snapshot': 'r', 'view': 'v',
        'materialized_view': 'm'} -%}
    {%- set names = [] -%}
    {%- for result in results if result.node is defined -%}
        {%- if result.status == 'success' -%}
            {%- do names.append(result.node.unique_id) -%}
        {%- elif flags.WHICH == 'test' and result.status in ['pass', 'warn', 'fail', 'error'] -%}
            {%- do names.extend(result.node.depends_on.nodes) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set facts = [] -%}
    {%- for name in names | unique if name in graph.nodes -%}
        {%- set node = graph.nodes[name] -%}
        {%- if node.config.materialized in kinds -%}
            {%- set kind = kinds[node.config.materialized] -%}
            {%- set relation = '"' ~ node.schema ~ '"."' ~ node.alias ~ '"' -%}
            {%- do facts.append([relation, 'kind', kind]) -%}
            {%- if node.config.persist_docs.relation and node.description -%}
                {%- do facts.append([relation, 'comment', node.description]) -%}
            {%- endif -%}
            {%- for column in node.columns.values() -%}
                {%- do facts.append([relation, 'column ' ~ column.name, '']) -%}
                {%- if node.config.persist_docs.columns and column.description -%}
                    {%- do facts.append(
                        [relation, 'comment of ' ~ column.name, column.description]
                    ) -%}
                {%- endif -%}
                {%- if (node.contract or {}).enforced -%}
                    {%- do facts.append([relation, 'type of ' ~ column.name, column.data_type]) -%}
                {%- endif -%}
            {%- endfor -%}
            {%- if kind == 'r' -%}
                {%- do facts.extend(expected_constraints(node, relation)) -%}
            {%- endif -%}
            {%- for index in node.config.indexes or [] -%}
                {%- set what = 'index by ' ~ (index.type or 'btree') -%}
                {%- do facts.append(
                    [relation, 'unique ' ~ what if index.unique else what, index.columns | join(', ')]
                ) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(facts) }}
{% endmacro %}
