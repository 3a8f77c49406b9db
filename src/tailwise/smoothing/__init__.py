"""Feature smoothing by bins of the target: FDS, PRM and streamed moments."""
