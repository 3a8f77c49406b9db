"""Pages of runs, comparisons and diagnoses: self-contained HTML with charts as SVG."""
