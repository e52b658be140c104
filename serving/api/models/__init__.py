"""What the API answers, as pydantic models: one module an area, examples included."""
