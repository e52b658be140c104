{#- NULL passes: not_null says that. -#}
{% test matches_pattern(model, column_name, pattern) %}

    select {{ column_name }}
    from {{ model }}
    where {{ column_name }} !~ '{{ pattern }}'

{% endtest %}
