with

raw_rows as (

    select * from {{ source('streaming', 'bitcoin_prices_raw') }}

),

published as (

    select * from {{ ref('stg_bitcoin') }}

)

select published.id
from published
left join raw_rows
    on
        published.id = raw_rows.id
        and published._cluster_id = raw_rows._cluster_id
        and published._topic = raw_rows._topic
        and published._partition = raw_rows._partition
        and published._offset = raw_rows._offset
where raw_rows.id is null
