{% macro expected_constraints(node, relation) %}
    {%- set facts = [] -%}
    {%- set all_constraints = namespace(checks=0) -%}
    {%- set declared = [] -%}
    {%- for constraint in node.constraints or [] -%}
        {%- do declared.append([constraint.type, constraint.columns]) -%}
    {%- endfor -%}
    {%- for column in node.columns.values() -%}
        {%- for constraint in column.constraints or [] -%}
            {%- do declared.append([constraint.type, [column.name]]) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for type, columns in declared -%}
        {%- if type == 'not_null' -%}
            {%- for column in columns -%}
                {%- do facts.append([relation, 'not null of ' ~ column, '']) -%}
            {%- endfor -%}
        {%- elif type == 'check' -%}
            {%- set all_constraints.checks = all_constraints.checks + 1 -%}
        {%- elif type in ['primary_key', 'unique', 'foreign_key'] -%}
            {%- do facts.append(
                [relation, type | replace('_', ' '), columns | sort | join(', ')]
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if (node.contract or {}).enforced -%}
        {%- do facts.append([relation, 'number of checks', all_constraints.checks | string]) -%}
    {%- endif -%}
    {{ return(facts) }}
{% endmacro %}
