
SELECT tool_name, calls FROM tools