"""Parts of the run report: data, drawings, page sections."""
