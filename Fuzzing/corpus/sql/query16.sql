
BEGIN; SELECT parent_span_id, span_id FROM spans WHERE parent_span_id IS NULL