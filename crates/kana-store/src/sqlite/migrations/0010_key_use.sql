-- Who created a key, as the audit log shows it, and when it was last used, to the minute.
ALTER TABLE keys ADD COLUMN created_by TEXT;
ALTER TABLE keys ADD COLUMN last_used_at INTEGER;
