
SELECT e.value FROM spans, json_each(attributes) e WHERE tool_name LIKE 'tool%'