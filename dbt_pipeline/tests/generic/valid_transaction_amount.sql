{% test valid_transaction_amount(model, column_name, min_value=0, max_value=15000) %}

    select {{ column_name }}
    from {{ model }}
    where
        {{ column_name }} < {{ min_value }}
        or {{ column_name }} > {{ max_value }}
        or {{ column_name }} is null

{% endtest %}
