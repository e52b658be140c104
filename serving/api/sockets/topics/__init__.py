"""The topics of `/v1/ws`, one module each: a new one is a module and a line in `topics_of`."""

from serving.api.sockets.topic import Topic
from serving.api.sockets.topics.live_customers import LiveCustomers
from serving.api.sockets.topics.segment_membership import SegmentMembership
from serving.api.sockets.topics.stream_status import StreamStatus
from serving.api.sockets.topics.transactions import Transactions
from serving.api.warehouse import Warehouse


def topics_of(warehouse: Warehouse) -> list[Topic]:
    """All topics of a server, each reading from the warehouse."""
    return [
        LiveCustomers(warehouse),
        SegmentMembership(warehouse),
        StreamStatus(warehouse),
        Transactions(warehouse),
    ]
