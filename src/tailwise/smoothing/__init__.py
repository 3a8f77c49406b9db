"""Feature smoothing by bins of the target: FDS, PRM and the streamed moments both use."""
