{#-
    by and sums pair an SQL expression here with one over there. Groups that only one side has are
    shown as well: a missing day is as wrong as a wrong sum. With missing_is_zero they are shown only
    if their sums are not zero: a calendar has days without a sale. to_where leaves rows out over
    there, as config.where does here.
-#}
{% test reconciles(model, to, sums, by={}, missing_is_zero=false, to_where='true') %}

    with

    here as (

        select
            {% for expression in by -%}
                {{ expression }} as key_{{ loop.index }},
            {% endfor -%}
            {% for expression in sums -%}
                sum({{ expression }}) as sum_{{ loop.index }}{{ ',' if not loop.last }}
            {% endfor %}
        from {{ model }}
        {% if by %}group by {% for _ in by %}{{ loop.index }}{{ ', ' if not loop.last }}{% endfor %}{% endif %}

    ),

    there as (

        select
            {% for expression in by.values() -%}
                {{ expression }} as key_{{ loop.index }},
            {% endfor -%}
            {% for expression in sums.values() -%}
                sum({{ expression }}) as sum_{{ loop.index }}{{ ',' if not loop.last }}
            {% endfor %}
        from {{ to }}
        where {{ to_where }}
        {% if by %}group by {% for _ in by %}{{ loop.index }}{{ ', ' if not loop.last }}{% endfor %}{% endif %}

    )

    select
        {% for expression in by -%}
            coalesce(here.key_{{ loop.index }}, there.key_{{ loop.index }}) as key_{{ loop.index }},
        {% endfor -%}
        {% for expression in sums -%}
            here.sum_{{ loop.index }} as here_{{ loop.index }},
            there.sum_{{ loop.index }} as there_{{ loop.index }}{{ ',' if not loop.last }}
        {% endfor %}
    from here
    full join there
        on
            {% for expression in by -%}
                here.key_{{ loop.index }} = there.key_{{ loop.index }}{{ ' and ' if not loop.last }}
            {%- else %}true{% endfor %}
    where
        {% for expression in sums -%}
            {% if missing_is_zero -%}
                coalesce(here.sum_{{ loop.index }}, 0)
                is distinct from coalesce(there.sum_{{ loop.index }}, 0)
            {%- else -%}
                here.sum_{{ loop.index }} is distinct from there.sum_{{ loop.index }}
            {%- endif %}
            {{- ' or ' if not loop.last }}
        {% endfor %}

{% endtest %}
