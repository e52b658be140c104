"""What an operator does to streams: halts, quarantine, replay, and the proof of the books."""
