"""Reading streams from memory: events, states and text, against other libraries."""
