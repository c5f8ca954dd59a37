"""Which partition a run lives in: a hash of its workflow id, the same in every process and version."""

from hashlib import blake2b

from .._ids import PartitionId


def partition_of(workflow_id: str, partitions: int) -> PartitionId:
    """Return the partition of `workflow_id` among `partitions`. Part of the stored format: it must never change."""
    digest = blake2b(workflow_id.encode(), digest_size=8).digest()
    return PartitionId(int.from_bytes(digest, "big") % partitions)
