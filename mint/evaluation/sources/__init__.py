"""Where replies come from: a model here, a served one, or a file of ready replies."""
