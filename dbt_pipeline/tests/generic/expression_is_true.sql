{#- An expression that is NULL has not been shown to be true, and fails. -#}
{% test expression_is_true(model, expression, column_name=none) %}

    select *
    from {{ model }}
    where ({{ expression }}) is not true

{% endtest %}
