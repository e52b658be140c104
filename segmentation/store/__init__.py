"""The store of segments by rule: versions that never change, one of them active, each audited."""
