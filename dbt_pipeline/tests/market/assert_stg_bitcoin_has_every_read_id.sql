-- Every raw row that the model has read has its id in the model. Rows that the loader wrote since
-- the last build are not missing: they are not read yet.
with

raw_rows as (

    select * from {{ source('streaming', 'bitcoin_prices_raw') }}

),

reads as (

    select * from {{ source('stream_reads', 'stream_reads') }}

),

published as (

    select * from {{ ref('stg_bitcoin') }}

),

read_rows as (

    select raw_rows.id
    from raw_rows
    inner join reads
        on
            reads.model = 'stg_bitcoin'
            and raw_rows._cluster_id = reads.cluster_id
            and raw_rows._topic = reads.topic
            and raw_rows._partition = reads.partition
            and (reads.offsets @> raw_rows._offset or reads.pending @> raw_rows._offset)

)

select read_rows.id
from read_rows
left join published on read_rows.id = published.id
where published.id is null
